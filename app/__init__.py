"""Composition: the command line, the jobs, the daemon, the demo."""
