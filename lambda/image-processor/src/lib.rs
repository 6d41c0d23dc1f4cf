//! image-processor.
