"""The producer's side: sends jobs, waits for them, looks at them, cancels them."""
