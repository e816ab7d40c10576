//! `spikec train`, from files to a network that compiles and verifies; kills and resumes.
