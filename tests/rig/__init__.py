"""What the tests run beside themselves: the service as its users run it, and servers that it needs."""
