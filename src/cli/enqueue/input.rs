//! A file's records, one after the other, each with the number of the line it begins on.

use std::io::{self, BufRead, BufReader, Read};

/// The most bytes of a record. What is longer is no job; most often a quote is missing.
const RECORD_BYTES_MAX: usize = 1 << 20;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the end of a record depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line break in a quoted value does not end the record.
    Csv,
    /// Each line is a record.
    Jsonl,
}

/// Where in a CSV record we are; as the crate csv sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    ValueStart,
    Bare,
    Quoted,
    /// Behind a quote that ends the value, or is the first of two that stand for one.
    AfterQuote,
}

impl Place {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::AfterQuote,
            (Self::Quoted, _) | (Self::ValueStart | Self::AfterQuote, b'"') => Self::Quoted,
            (_, b',' | b'\n' | b'\r') => Self::ValueStart,
            _ => Self::Bare,
        }
    }

    /// Whether this byte makes a value go on behind the quote that ended it. The crate csv takes
    /// it for a part of the value: a quote too many would join two lines to one job unnoticed.
    const fn goes_on(self, byte: u8) -> bool {
        matches!(self, Self::AfterQuote) && !matches!(byte, b'"' | b',' | b'\n' | b'\r')
    }
}

/// Reads record by record. Empty lines are counted and left out, a byte order mark is taken off.
///
/// As a [`Read`] it never gives parts of two records at once, so that whoever parses what it gives
/// knows on which line that began: the crate csv's own count is off by one after CR LF and after
/// empty lines.
pub(super) struct Records {
    input: BufReader<Box<dyn Read + Send>>,
    form: Form,
    record: Vec<u8>,
    /// How much of `record` has been read from here.
    given: usize,
    line: u64,
    last_line: u64,
    lines: u64,
    bytes: u64,
    quotes: Quotes,
}

/// How a record stands with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    Good,
    /// One begins a value that does not end.
    Open,
    /// A value goes on behind the one that ended it.
    WithinValue,
}

impl Records {
    pub(super) fn new(input: Box<dyn Read + Send>, form: Form) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            form,
            record: Vec::new(),
            given: 0,
            line: 0,
            last_line: 0,
            lines: 0,
            bytes: 0,
            quotes: Quotes::Good,
        }
    }

    /// The line that the record begins on, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes were read so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The line that the record ends on.
    pub(super) const fn last_line(&self) -> u64 {
        self.last_line
    }

    /// How the record stands with its quotes.
    pub(super) const fn quotes(&self) -> Quotes {
        self.quotes
    }

    /// The record, with its line break.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Goes to the next record; `false` at the end, where line and quotes stay those of the last.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.record.clear();
            self.given = 0;
            let line = self.lines + 1;
            let mut place = Place::ValueStart;
            let mut goes_on = false;
            let mut returned = false;
            loop {
                let from = self.record.len();
                let most = (RECORD_BYTES_MAX + 1 - from) as u64;
                let mut rest = (&mut self.input).take(most);
                if rest.read_until(b'\n', &mut self.record)? == 0 {
                    break;
                }
                if self.record.len() > RECORD_BYTES_MAX {
                    return Err(fault(format!(
                        "line {line}: what begins here is longer than {RECORD_BYTES_MAX} bytes; \
                         is a quote or a line break missing?"
                    )));
                }
                self.bytes += (self.record.len() - from) as u64;
                if self.bytes == self.record.len() as u64 {
                    self.take_mark_off()?;
                }
                self.lines += 1;
                if self.form == Form::Csv {
                    // A mark that was taken off is no reason to look at less than the whole piece.
                    let from = from.min(self.record.len());
                    for byte in &self.record[from..] {
                        if returned && !matches!(byte, b'\r' | b'\n') {
                            return Err(fault(format!(
                                "line {line}: a line ends in a carriage return alone: save the \
                                 file with line feeds (LF or CR LF)"
                            )));
                        }
                        returned = *byte == b'\r' && place != Place::Quoted;
                        goes_on |= place.goes_on(*byte);
                        place = place.after(*byte);
                    }
                }
                if place != Place::Quoted {
                    break;
                }
            }
            if self.record.is_empty() {
                return Ok(false);
            }
            if self.record.iter().any(|b| !b.is_ascii_whitespace()) {
                // Not at the end: the crate csv asks once more before it gives the last record.
                self.line = line;
                self.last_line = self.lines;
                self.quotes = match place {
                    Place::Quoted => Quotes::Open,
                    _ if goes_on => Quotes::WithinValue,
                    _ => Quotes::Good,
                };
                return Ok(true);
            }
        }
    }

    fn take_mark_off(&mut self) -> io::Result<()> {
        if self.record.starts_with(b"\xff\xfe") || self.record.starts_with(b"\xfe\xff") {
            return Err(fault("it is UTF-16: save it as UTF-8".to_owned()));
        }
        if self.record.starts_with(UTF8_MARK) {
            self.record.drain(..UTF8_MARK.len());
        }
        Ok(())
    }
}

/// A mistake in the input, and not of the machine.
fn fault(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.record.len() && !self.advance()? {
            return Ok(0);
        }
        let rest = &self.record[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &'static [u8], form: Form) -> Vec<(u64, String)> {
        let mut records = Records::new(Box::new(text), form);
        let mut all = Vec::new();
        while records.advance().expect("it can be read") {
            let record = String::from_utf8_lossy(records.record()).into_owned();
            all.push((records.line(), record));
        }
        all
    }

    #[test]
    fn records_know_the_line_they_begin_on() {
        let text = b"\xef\xbb\xbfa,b\r\n\r\n\"x\r\n\"\"y\",1\r\n5\" disk,2\r\n\n\"z\"";
        let expected = [
            (1, "a,b\r\n"),
            (3, "\"x\r\n\"\"y\",1\r\n"),
            (5, "5\" disk,2\r\n"),
            (7, "\"z\""),
        ];
        assert_eq!(
            all(text, Form::Csv),
            expected.map(|(n, text)| (n, text.to_owned()))
        );
        assert_eq!(all(b"\"{\n\n}", Form::Jsonl).len(), 2);
        assert_eq!(all(b"", Form::Csv), []);
        assert_eq!(all(b"\n \r\n", Form::Csv), []);
    }

    #[test]
    fn a_quote_within_a_value_that_a_quote_ended_is_noted() {
        for (text, quotes) in [
            (&b"\"a \"\"b\"\" c\",d"[..], Quotes::Good),
            (b"5\" disk,\"\"\r\n", Quotes::Good),
            (b"\"a \"b\" c\",d", Quotes::WithinValue),
            (b"\"a\nb,\"c\"\n", Quotes::WithinValue),
            (b"\"a\" ,b", Quotes::WithinValue),
            (b"\"a\nb,c", Quotes::Open),
        ] {
            let mut records = Records::new(Box::new(text), Form::Csv);
            assert!(records.advance().expect("it can be read"));
            let text = String::from_utf8_lossy(text);
            assert_eq!(records.quotes(), quotes, "{text}");
        }
    }

    #[test]
    fn a_line_that_ends_in_a_carriage_return_alone_is_refused() {
        let mut records = Records::new(Box::new(&b"a,b\rc,d\r"[..]), Form::Csv);
        let said = records.advance().expect_err("it is no line break");
        assert!(
            said.to_string()
                .starts_with("line 1: a line ends in a carriage return")
        );
        assert_eq!(all(b"a\r\r\n\"x\ry\"\r\n", Form::Csv).len(), 2);
    }

    #[test]
    fn a_byte_order_mark_before_a_quote_does_not_hide_it() {
        let text = b"\xef\xbb\xbf\"a\nb\",c\nd,e\n";
        let lines: Vec<u64> = all(text, Form::Csv).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn what_is_too_long_or_no_utf_8_ends_the_reading() {
        let long = vec![b'x'; RECORD_BYTES_MAX + 1];
        let mut records = Records::new(Box::new(io::Cursor::new(long)), Form::Jsonl);
        let said = records.advance().expect_err("it is too long").to_string();
        assert!(
            said.starts_with("line 1: what begins here is longer"),
            "{said}"
        );
        let mut records = Records::new(Box::new(&b"\xff\xfea\0"[..]), Form::Csv);
        assert!(records.advance().is_err());
    }
}
