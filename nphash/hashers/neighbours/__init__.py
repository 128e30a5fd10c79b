"""Graphs of similar documents and what is learned from them."""
