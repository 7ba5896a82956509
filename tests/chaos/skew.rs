//! A wall clock that is wrong, for one process: a few lines of C that are loaded before its C
//! library. The monotonic clock stays right, as on a machine whose date is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The variable that says by how many seconds the clock is wrong.
pub(crate) const VARIABLE: &str = "CALLQ_CHAOS_SKEW_S";

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
static int (*real)(clockid_t, struct timespec *);
static long skew;
__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CALLQ_CHAOS_SKEW_S");
    skew = text ? atol(text) : 0;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}
int clock_gettime(clockid_t id, struct timespec *at) {
    if (!real) begin();
    int rc = real(id, at);
    if (rc == 0 && id == CLOCK_REALTIME) at->tv_sec += skew;
    return rc;
}
"#;

/// Builds the library in `folder`; none where no compiler is found or it does not work.
pub(crate) fn library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    fs::write(&source, SOURCE).expect("a test may write files");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]);
    let built = compile.arg(&library).arg(&source).arg("-ldl").output();
    (built.is_ok_and(|done| done.status.success()) && works(&library)).then_some(library)
}

/// Whether a program's clock is wrong with it.
fn works(library: &Path) -> bool {
    let mut date = Command::new("date");
    date.arg("+%s")
        .env("LD_PRELOAD", library)
        .env(VARIABLE, "-86400");
    let Ok(told) = date.output() else {
        return false;
    };
    let told: i64 = String::from_utf8_lossy(&told.stdout)
        .trim()
        .parse()
        .unwrap_or(i64::MAX);
    told < chrono::Utc::now().timestamp() - 80_000
}
