//! Commands on the host: removal, a full disk, files that others made.
