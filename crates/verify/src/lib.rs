//! The verifier: does the image behave as the network does?
