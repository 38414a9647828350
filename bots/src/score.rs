//! Likeness of a sentence to known questions.
