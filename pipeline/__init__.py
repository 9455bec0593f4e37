"""Readings to energy on the 15-minute grid and up the node tree. Pure: frames in, frames out."""
