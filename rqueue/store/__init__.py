"""Everything that knows Redis: keys, scripts, the calls they make, and the two transports."""
