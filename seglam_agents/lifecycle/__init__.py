"""What becomes of a procedure once it is stored; the only room that writes entries."""
