//! The heart from outside: calendars, recurrences, golden messages, and what fuzzing found.

mod cases;
mod fuzz_corpus;
mod lunar;
mod preview_truth;
mod recurrence;
mod wire_golden;
