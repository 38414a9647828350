//! Text brought to one form.
