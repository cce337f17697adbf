//! Rights that an image gives itself, processes and memory without end.
