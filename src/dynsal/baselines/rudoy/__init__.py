"""Rudoy, Goldman, Shechtman, Zelnik-Manor 2013: candidates, features of jumps between them, and a random forest."""
