"""`hallmark doctor`: what on this machine would keep a node from working, each with its cure."""
