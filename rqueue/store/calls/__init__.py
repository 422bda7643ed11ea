"""Every trip to Redis, one pure function each, by noun."""
