"""One training loop, for proxies and whole recipes."""
