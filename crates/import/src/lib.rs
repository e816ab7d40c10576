//! Readers and writers of network files: NIR and the RON model file.
