//! Words with a meaning: names, versions, digests, manifests. Pure: no I/O.
