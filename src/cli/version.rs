//! What ends a command line at once: help, errors, and `--version` with the build, the library and the processor that answers
//! depend on.

use std::io::Write;

use clap::error::ErrorKind;
use ressort::inference::arithmetic::processor_saturates;
use ressort::inference::session::Runtime;
use ressort::inference::settings::usable_cores;
use ressort::system::background::end_process;
use ressort::system::build_info::{VERSION, commit};
use ressort::system::processor::features;

use super::{FAILURE, SUCCESS, print};

/// Prints the help, the version or what is wrong with the command line, and ends the process.
pub fn show(error: &clap::Error) -> ! {
    // `-V` prints one line, without loading ONNX Runtime.
    if error.kind() == ErrorKind::DisplayVersion && std::env::args_os().any(|arg| arg == "--version") {
        end_process(code_of(print::result(&long_version())));
    }
    if !error.use_stderr() {
        end_process(code_of(print::checked(error.print().and_then(|()| std::io::stdout().flush()))))
    }
    error.exit()
}

/// The exit code, after the error is reported.
fn code_of(printed: anyhow::Result<()>) -> u8 {
    match printed {
        Ok(()) => SUCCESS,
        Err(error) => {
            print::message(&format!("ressort: {error:#}"));
            FAILURE
        }
    }
}

/// What `--version` prints. It loads ONNX Runtime, so that it tells the version that would be used.
fn long_version() -> String {
    let runtime = match Runtime::get() {
        Ok(runtime) => format!("{} ({}, {})", runtime.version, runtime.library.display(), runtime.origin),
        Err(_) => "not found; `ressort doctor` lists where it was looked for".to_owned(),
    };
    format!(
        "ressort {VERSION}\ncommit: {}\nONNX Runtime: {runtime}\nprocessor: {}",
        commit_in_words(),
        processor_in_words()
    )
}

pub fn commit_in_words() -> &'static str {
    commit().unwrap_or("not recorded (a debug build, or sources without their history)")
}

/// Its features, and how it multiplies in int8.
pub fn processor_in_words() -> String {
    let products = match processor_saturates() {
        true => "int8 products are clipped unless --arithmetic is exact",
        false => "int8 products are exact",
    };
    format!("{}, {} usable cores, {}; {products}", std::env::consts::ARCH, usable_cores(), features().join(" "))
}
