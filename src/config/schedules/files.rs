//! Which files hold the schedules, and their content within bounds.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::schedule::{ScheduleFile, schedule};
use super::{Fault, Faults, app_name};
use crate::call::readable;
use crate::config::ConfigError;

/// The most files of one call, so that a wrong folder is not read for ever.
const FILES_MAX: usize = 10_000;

/// Room for a call with every key, 100 callees and hundreds of dates.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The most mistakes that are told at once: all that people make in a folder of schedules.
const FAULTS_TOLD_MAX: usize = 200;

/// The schedules of these files, and of every `.toml` file that lies in these folders, in the order
/// of their paths.
///
/// # Errors
/// With everything that is wrong in any of them, each with its file, line and column. No value of
/// `user_data`, `offline_push` or `metadata` is repeated, nor what looks like a secret.
pub fn read_schedules(paths: &[PathBuf]) -> Result<Vec<ScheduleFile>, ConfigError> {
    let mut faults = Faults::at_most(FAULTS_TOLD_MAX);
    let mut files = Vec::new();
    for path in paths {
        files.extend(faults.take(files_of(path)).unwrap_or_default());
    }
    files.sort();
    files.dedup();
    if files.len() > FILES_MAX {
        let what = format!("more than {FILES_MAX} files: name a folder of schedules alone");
        faults.add(Fault::new("there are", what));
        files.truncate(0);
    }
    let mut schedules: Vec<ScheduleFile> = Vec::new();
    for path in &files {
        let Some(bytes) = faults.take(content(path)) else {
            continue;
        };
        schedules.extend(schedule(&Arc::from(path.as_path()), &bytes, &mut faults));
    }
    refuse_doubles(&schedules, &mut faults);
    faults.none()?;
    Ok(schedules)
}

/// The file, or the schedules' files of the folder. What begins with a dot is left alone: editors
/// and mounted volumes keep copies there.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let could_not = |error: std::io::Error| {
        let what = match error.kind() {
            ErrorKind::PermissionDenied => "this user cannot read".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Fault::new(name(path), what)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(could_not)? {
        let file = entry.map_err(could_not)?.path();
        let hidden = file
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if file.extension().is_some_and(|e| e == "toml") && !hidden && !file.is_dir() {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            break;
        }
    }
    if files.is_empty() {
        let what = "holds no schedule: must have files that end in .toml";
        return Err(Fault::new(name(path), what));
    }
    Ok(files)
}

fn content(path: &Path) -> Result<Vec<u8>, Fault> {
    bytes_of(path, FILE_BYTES_MAX).map_err(|what| Fault::new(name(path), what))
}

/// The content of a file, at most so long; or what is wrong with it, as what follows its name.
pub(super) fn bytes_of(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let could_not = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "does not exist: must be there".to_owned(),
        ErrorKind::PermissionDenied => "this user cannot read".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Asked before it is opened: opening a named pipe would wait for its other end.
    let is_file = std::fs::metadata(path).map_err(could_not)?.is_file();
    if !is_file {
        return Err("is no ordinary file: must be one".to_owned());
    }
    let mut bytes = Vec::new();
    let mut bounded = File::open(path).map_err(could_not)?.take(bytes_max + 1);
    bounded.read_to_end(&mut bytes).map_err(could_not)?;
    if bytes.len() as u64 > bytes_max {
        let kib = bytes_max / 1024;
        return Err(format!("is longer than {kib} KiB: is it the right file?"));
    }
    Ok(bytes)
}

/// A path as it may be shown.
pub(super) fn name(path: &Path) -> String {
    readable(&path.to_string_lossy())
}

/// Two files must not describe one schedule.
fn refuse_doubles(schedules: &[ScheduleFile], faults: &mut Faults) {
    let mut seen: HashMap<(&str, &str), &ScheduleFile> = HashMap::new();
    for schedule in schedules {
        let key = (schedule.app.as_str(), schedule.name.as_str());
        if let Some(first) = seen.get(&key) {
            let what = format!(
                "name is \"{}\", as at {} in the same app {}: must be unique",
                schedule.name,
                first.place,
                app_name(&schedule.app)
            );
            faults.add(Fault::new(format_args!("{}:", schedule.place), what));
        } else {
            seen.insert(key, schedule);
        }
    }
}
