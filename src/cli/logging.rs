//! Logs: by tracing, to stderr. Every event is one line, whatever its fields hold.

use std::fmt;
use std::io::{self, IsTerminal as _, Write, stderr};

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::print;
use crate::call::readable;
use crate::config::{self, ConfigError, LogFormat};

/// Sets logging up for a command without a configuration: `CALLQ_LOG` wins over `default`.
pub(super) fn init_for_trying(default: &str) -> Result<(), ConfigError> {
    let filter = config::log_filter(&config::Process)?;
    init(LogFormat::Text, filter.as_deref().unwrap_or(default));
    Ok(())
}

/// Sets logging up. The filter was read by `config`, which knows that it is one.
pub(super) fn init(format: LogFormat, filter: &str) {
    // A line that cannot be written, to a full disk or to a reader that is gone, is lost. To
    // complain about it on the same stderr would panic, and a call's result would be lost with it.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let colour = !config::no_color(&config::Process) && stderr().is_terminal();
            builder
                .fmt_fields(ReadableFields)
                .with_writer(stderr)
                .with_ansi(colour)
                .with_target(false)
                .init();
        }
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_writer(|| HarmlessJson(stderr()))
            .init(),
    }
}

/// `message name=value ...`, each value made readable: cut, on one line, and without effect on a
/// terminal.
struct ReadableFields;

impl<'writer> FormatFields<'writer> for ReadableFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = FieldLine {
            writer,
            gap: "",
            outcome: Ok(()),
        };
        fields.record(&mut line);
        line.outcome
    }
}

struct FieldLine<'writer> {
    writer: Writer<'writer>,
    gap: &'static str,
    outcome: fmt::Result,
}

impl Visit for FieldLine<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = readable(&format!("{value:?}"));
        let (gap, ansi) = (self.gap, self.writer.has_ansi_escapes());
        let written = match field.name() {
            "message" => write!(self.writer, "{gap}{value}"),
            name if ansi => write!(
                self.writer,
                "{gap}\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"
            ),
            name => write!(self.writer, "{gap}{name}={value}"),
        };
        self.outcome = self.outcome.and(written);
        self.gap = " ";
    }
}

/// A line of JSON, in whose strings what acts on a terminal is given by its number. tracing writes
/// each event at once; JSON itself escapes line breaks and most control characters.
struct HarmlessJson<W>(W);

impl<W: Write> Write for HarmlessJson<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event).into_owned();
        self.0.write_all(print::harmless_json(text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
