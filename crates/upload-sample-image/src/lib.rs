//! upload-sample-image.
