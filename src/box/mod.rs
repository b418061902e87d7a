//! Floor 5: the daemon on the village box.
