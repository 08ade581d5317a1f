//! Which files and fields are secret. Pure: text in, verdicts out.
