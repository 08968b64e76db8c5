"""HTTP, and nothing else: what a request must be, who may send it, and how answers and errors look."""
