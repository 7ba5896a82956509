//! The jobs that the lines of a file stand for.

use std::collections::BTreeMap;
use std::{fmt, io};

use csv::ByteRecord;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::columns::{self, COLUMNS, quoted};
use super::input::{Form, Quotes, Records};
use crate::store::{JobLine, Refused};

/// The lines of a file in one of its forms.
pub(super) enum Lines {
    Csv(Box<CsvLines>),
    Jsonl(Records),
}

/// One line: its jobs, or why it has none.
pub(super) type Line = Result<Vec<JobLine>, Refused>;

/// A CSV file whose first line has been read.
pub(super) struct CsvLines {
    reader: csv::Reader<Records>,
    columns: Vec<&'static str>,
    record: ByteRecord,
}

impl Lines {
    /// Begins to read; `defaults` are what a line has that does not say it.
    ///
    /// # Errors
    /// If the input cannot be read, or of kind `InvalidData` with what is wrong with its first
    /// line.
    pub(super) fn of(records: Records, form: Form, defaults: &JobLine) -> io::Result<Self> {
        Ok(match form {
            Form::Jsonl => Self::Jsonl(records),
            Form::Csv => {
                let mut builder = csv::ReaderBuilder::new();
                builder.has_headers(false).flexible(true);
                let mut reader = builder.from_reader(records);
                let mut record = ByteRecord::new();
                if !reader.read_byte_record(&mut record).map_err(of_reading)? {
                    return Err(fault("it is empty: its first line must name the columns"));
                }
                let columns = header(&record).map_err(fault)?;
                required(&columns, defaults).map_err(fault)?;
                Self::Csv(Box::new(CsvLines {
                    reader,
                    columns,
                    record,
                }))
            }
        })
    }

    /// How many bytes were read so far.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.reader.get_ref().bytes(),
            Self::Jsonl(records) => records.bytes(),
        }
    }

    /// The next line; what it does not say is as in `defaults`. `None` at the end.
    ///
    /// # Errors
    /// As [`Lines::of`].
    pub(super) fn next(&mut self, defaults: &JobLine, each: Each) -> io::Result<Option<Line>> {
        let (line, job) = match self {
            Self::Csv(csv) => {
                let read = csv.reader.read_byte_record(&mut csv.record);
                if !read.map_err(of_reading)? {
                    return Ok(None);
                }
                let records = csv.reader.get_ref();
                let (line, last) = (records.line(), records.last_line());
                let job = from_csv(&csv.columns, &csv.record, records.quotes(), defaults);
                let reaches = |why| match last {
                    _ if last == line => why,
                    _ => format!("{why}; what begins here ends in line {last}"),
                };
                (line, job.map_err(reaches))
            }
            Self::Jsonl(records) => {
                if !records.advance()? {
                    return Ok(None);
                }
                (records.line(), from_json(records.record(), defaults))
            }
        };
        let jobs = job.and_then(|mut job| {
            job.line = line;
            each.jobs(job)
        });
        Ok(Some(jobs.map_err(|reason| Refused { line, reason })))
    }
}

/// The error of the reader below, which csv wraps; it has none of its own for what is read here.
fn of_reading(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn header(record: &ByteRecord) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::with_capacity(record.len());
    for name in record {
        let name = str::from_utf8(name).map_err(|_| "line 1: it is not UTF-8".to_owned())?;
        if name.starts_with('{') {
            return Err("line 1: it is JSON: give the file with --jsonl".to_owned());
        }
        if record.len() == 1 && name.contains([';', '\t']) {
            return Err("line 1: the columns must be separated by commas".to_owned());
        }
        let column = columns::column(name.trim()).map_err(|why| format!("line 1: {why}"))?;
        if columns.contains(&column) {
            return Err(format!("line 1: it names the column {column} twice"));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Told once, not of every line.
fn required(columns: &[&str], defaults: &JobLine) -> Result<(), String> {
    let needed = [
        (
            "robot_account",
            "robot-account",
            defaults.robot_account.is_some(),
        ),
        ("callees", "callee", defaults.callees.is_some()),
    ];
    match needed
        .iter()
        .find(|(column, _, by_flag)| !by_flag && !columns.contains(column))
    {
        Some((column, flag, _)) => Err(format!(
            "line 1: it names no column {column}: add it, or give one for all lines with --{flag}"
        )),
        None => Ok(()),
    }
}

fn from_csv(
    columns: &[&'static str],
    record: &ByteRecord,
    quotes: Quotes,
    defaults: &JobLine,
) -> Result<JobLine, String> {
    match quotes {
        Quotes::Good => {}
        Quotes::Open => return Err("a quoted value begins here and never ends".to_owned()),
        Quotes::WithinValue => {
            return Err(
                "a value goes on behind its closing quote: is a quote missing? One that \
                        belongs to the value is written twice"
                    .to_owned(),
            );
        }
    }
    if record.len() != columns.len() {
        let (has, named) = (record.len(), columns.len());
        return Err(format!(
            "it has {has} value{s} and line 1 names {named} columns; is a quote or a comma \
             missing?",
            s = if has == 1 { "" } else { "s" },
        ));
    }
    let mut job = defaults.clone();
    let cells = columns.iter().copied().zip(record.iter());
    let given = || cells.clone().filter(|(_, cell)| !cell.is_empty());
    if given().any(|(column, _)| is_deadline(column)) {
        columns::forget_deadline(&mut job);
    }
    for (column, cell) in given() {
        let cell = str::from_utf8(cell).map_err(|_| format!("{column} is not UTF-8"))?;
        // A space behind the comma is no part of a name, and one of that name would wait for ever.
        let cell = match column {
            "app" | "robot_account" => cell.trim(),
            _ => cell,
        };
        columns::set(&mut job, column, cell)?;
    }
    Ok(job)
}

/// A JSON object with every key that it has: a map would keep the last of two alone.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

fn from_json(record: &[u8], defaults: &JobLine) -> Result<JobLine, String> {
    let text = str::from_utf8(record).map_err(|_| "it is not UTF-8".to_owned())?;
    // Anything else would be repeated in serde's message.
    if !text.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    let Pairs(pairs) = serde_json::from_str(text).map_err(|error| {
        let place = error.column();
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or("wrong");
        format!("it is not JSON: {why} at character {place}")
    })?;
    let mut given: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (name, value) in pairs {
        let column = columns::column(&name)?;
        if given.insert(name, value).is_some() {
            return Err(format!("it has {column} twice"));
        }
    }
    let mut job = defaults.clone();
    if given
        .iter()
        .any(|(name, value)| is_deadline(name) && value.get() != "null")
    {
        columns::forget_deadline(&mut job);
    }
    // In the order of the columns, so that of several faults the same one is told.
    for column in COLUMNS {
        if let Some(value) = given.get(column) {
            columns::set_json(&mut job, column, value)?;
        }
    }
    Ok(job)
}

fn is_deadline(column: &str) -> bool {
    matches!(column, "ttl" | "expires_at")
}

fn fault(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// How many jobs a line with several callees makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    /// One, in which they hear each other.
    Together,
    /// One for each of them.
    Apart,
}

impl Each {
    pub(super) fn jobs(self, mut job: JobLine) -> Result<Vec<JobLine>, String> {
        if self == Self::Together {
            return Ok(vec![job]);
        }
        if let Some(room) = &job.room_id {
            return Err(format!(
                "room_id is {}: with --each it must be left out, or the callees would share it",
                quoted(room)
            ));
        }
        let callees = job.callees.take().unwrap_or_default();
        if callees.is_empty() {
            // For the database to refuse.
            return Ok(vec![job]);
        }
        let mut jobs: Vec<JobLine> = Vec::with_capacity(callees.len());
        for callee in callees {
            let mut one = job.clone();
            one.idempotency_key = job
                .idempotency_key
                .as_ref()
                .map(|key| format!("{key}:{callee}"));
            one.callees = Some(vec![callee]);
            if jobs.iter().any(|other| other.callees == one.callees) {
                let [callee] = one.callees.as_deref().unwrap_or_default() else {
                    continue;
                };
                let callee = quoted(callee);
                return Err(format!("callees has the account {callee} more than once"));
            }
            jobs.push(one);
        }
        Ok(jobs)
    }
}
