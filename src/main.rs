//! `ressort`: parses the command line, starts logging and the runtime, and runs the command.

mod cli;

use ressort::inference::settings::usable_cores;
use ressort::system::background::end_process;
use ressort::system::library_telemetry::disable_library_telemetry;
use ressort::system::memory::configure_allocator;
use ressort::system::private_file::remove_all_names;
use ressort::system::spans::export_rest;
use ressort::system::telemetry::start_logging;

use crate::cli::{ParseError, exit_code_of, parse, print, show};

fn main() {
    disable_library_telemetry();
    configure_allocator();
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(ParseError::Usage(error)) => show(&error),
        Err(ParseError::Config(error)) => end_process(report(&error.into())),
    };
    let logging = start_logging(cli.log_format.into(), cli.command.verbosity(), cli.command.collector());
    let result = logging.map_err(Into::into).and_then(|()| start_runtime()).and_then(|runtime| {
        let result = runtime.block_on(cli.command.run());
        // Work that nobody waits for does not delay the end of the process.
        runtime.shutdown_background();
        result
    });
    let code = result.unwrap_or_else(|error| report(&error));
    export_rest();
    remove_all_names();
    end_process(code)
}

/// Prints why the program failed, and gives its exit code.
fn report(error: &anyhow::Error) -> u8 {
    print::message(&format!("ressort: {error:#}"));
    exit_code_of(error)
}

/// Blocking threads write files and release models. Documents are prepared by `inference::workers`. More threads would only take
/// memory, and under load time from the runs.
fn start_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().max_blocking_threads(2 * usable_cores()).build()?)
}
