"""rqueue: a distributed task queue on Redis and Valkey."""
