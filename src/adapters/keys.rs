//! Key files. A secret key is one line of text in a file that only its owner may read.
