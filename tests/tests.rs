//! All integration tests in one program: each would link tract anew.

mod program;

// The commands, as a user runs them.
mod commands;
// Wrong and hostile input, command by command.
mod bad_input;
// Features that are kept.
mod cache;
// Real files of every format, and Pillow's pictures.
mod vision;
// The embedded backbone against ONNX Runtime.
mod parity;
// The program on an ARM board, where TOPGRAFT_BOARD names one.
mod board;
// What is handed out beside the program.
mod deploy;
// What a fit takes, and what it is said to take.
mod memory;
// Necks that are developed on a source task.
mod develop;
// Exported files, in the programs that they are for.
mod export;
