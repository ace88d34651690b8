"""Data sets: declarations, readers by format, labels, protocols, and the packed store on the training device."""
