//! The disk that PostgreSQL lies on. Where this process may mount one, it is a small one of its own
//! that can be filled to the last page; the mount is this process's alone and ends with it.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What is left when the disk is full: less than a page of PostgreSQL's with its neighbours.
const SLACK_BYTES: u64 = 16 * 1024;

/// A folder for the data of a server.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: TempDir,
    /// Its size in bytes, if it is a mount of our own.
    size: Option<u64>,
}

impl Disk {
    /// A disk of this size, in bytes. Called before any other thread is started: the mount is seen
    /// by this thread and those that come from it.
    pub(crate) fn of(size: u64) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("callq-chaos-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("a test may make folders");
        let mounted = has_own_mounts() && mount(folder.path(), &format!("size={size},mode=755"));
        Self {
            folder,
            size: mounted.then_some(size),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the data of PostgreSQL go.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("pg")
    }

    /// Whether it can be filled.
    pub(crate) fn can_be_filled(&self) -> bool {
        self.size.is_some()
    }

    /// Not a further page can be written.
    pub(crate) fn fill(&self) {
        // It cannot be made smaller than what is written meanwhile.
        let is_full = (0..100).any(|_| {
            let full = used(self.path()) + SLACK_BYTES;
            mount(self.path(), &format!("remount,size={full}"))
        });
        assert!(is_full, "a disk can be made smaller");
    }

    /// There is room again.
    pub(crate) fn free(&self) {
        let size = self.size.expect("only such a disk is filled");
        assert!(
            mount(self.path(), &format!("remount,size={size}")),
            "a disk can be made larger"
        );
    }
}

#[allow(unsafe_code, reason = "std has no call for it")]
fn has_own_mounts() -> bool {
    // SAFETY: takes an integer; on failure nothing has changed.
    let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    // What is mounted here is nobody else's.
    unshared && succeeds(Command::new("mount").args(["--make-rprivate", "/"]))
}

fn mount(path: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "callq-chaos"]);
    succeeds(command.arg(path))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|done| done.status.success())
}

/// How many bytes of its file system are taken.
#[allow(unsafe_code, reason = "std has no call for it")]
fn used(path: &Path) -> u64 {
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte");
    // SAFETY: a statvfs is plain data for which zeroes are valid, and the call only writes to it.
    let (rc, stat) = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut stat), stat)
    };
    assert_eq!(rc, 0, "{}", io::Error::last_os_error());
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}
