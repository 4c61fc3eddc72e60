//! All integration tests in one program: each would link tract anew.

mod program;

// The commands, as a user runs them.
mod commands;
// Wrong and hostile input, command by command.
mod bad_input;
// Source models: how much of one to use, and which.
mod source_models;
// Features that are kept.
mod cache;
// Real files of every format, and Pillow's pictures.
mod vision;
// The embedded backbone against ONNX Runtime.
mod parity;
// The families of image networks, cut everywhere, against ONNX Runtime.
mod families;
// The program on an ARM board, where TOPGRAFT_BOARD names one.
mod board;
// What is handed out beside the program.
mod deploy;
// What a fit takes, and what it is said to take.
mod memory;
// What is read is not written over.
mod overwrite;
// Word vectors, and heads for texts.
mod words;
// Sentence encoders.
#[cfg(feature = "encoder")]
mod encoder;
// Necks that are developed on a source task.
mod develop;
// Cameras: what ffmpeg and rpicam-vid send.
#[cfg(target_os = "linux")]
mod camera;
// Teaching and watching.
#[cfg(target_os = "linux")]
mod live;
// The page and its API.
#[cfg(all(target_os = "linux", feature = "web"))]
mod serve;
// What several devices have learned, in one.
mod fleet;
// Exported files, in the programs that they are for.
mod export;
// Models by name: downloads from a server of the test's own, and files that are added.
mod models;
// Pages and pictures.
#[cfg(feature = "report")]
mod report;
