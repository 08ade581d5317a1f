//! The verbs that work on a store without a mount, by the real program. Each test is a story in a
//! fresh directory.

mod accepting;
mod adopting;
mod editing;
mod foreign;
mod keys;
mod looking;
mod manual;
mod rotation;
mod scanning;
mod scene;
mod sealing;
mod values;
