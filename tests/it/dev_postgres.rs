//! The private PostgreSQL server of `callq dev` and of these tests.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use callq::dev::postgres::{DataDir, Durability, Places, PostgresServer, StartOptions};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::child::{ChildProcess, DATA, ProcessEnd, ROLE, open_folder};

fn start(options: StartOptions) -> PostgresServer {
    PostgresServer::start(options).unwrap_or_else(|error| panic!("{error}"))
}

fn kept(path: &Path) -> StartOptions {
    StartOptions {
        data: DataDir::Kept(path.to_owned()),
        durability: Durability::Durable,
        places: Places::from_env(),
    }
}

async fn ask(url: &str, sql: &'static str) -> i32 {
    let mut connection = PgConnection::connect(url)
        .await
        .expect("the server accepts connections");
    let rows = sqlx::raw_sql(sql)
        .fetch_all(&mut connection)
        .await
        .expect("the statements run");
    rows.last().map_or(0, |row| row.get(0))
}

#[tokio::test]
async fn temporary_server_answers_and_leaves_no_trace() {
    let server = start(StartOptions::throwaway());
    assert_eq!(ask(&server.url("postgres"), "SELECT 42").await, 42);
    let (socket_dir, data_dir) = (server.socket_dir().to_owned(), server.data_dir().to_owned());
    assert!(socket_dir.exists() && data_dir.exists());
    server.stop().expect("the server stops");
    assert!(!socket_dir.exists() && !data_dir.exists());
}

#[tokio::test]
async fn dropped_server_leaves_no_trace() {
    let data_dir = {
        let server = start(StartOptions::throwaway());
        server.data_dir().to_owned()
    };
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn two_servers_run_at_once() {
    let (one, other) = (
        start(StartOptions::throwaway()),
        start(StartOptions::throwaway()),
    );
    assert_ne!(one.url("postgres"), other.url("postgres"));
    ask(&one.url("postgres"), "CREATE TABLE mine (id int)").await;
    assert_eq!(
        ask(
            &other.url("postgres"),
            "SELECT count(*)::int FROM pg_class WHERE relname = 'mine'"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn kept_data_are_there_at_the_next_start_under_the_same_url() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    let server = start(kept(&data));
    let url = server.url("postgres");
    ask(
        &url,
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)",
    )
    .await;
    server.stop().expect("the server stops");
    let server = start(kept(&data));
    assert_eq!(server.url("postgres"), url);
    assert_eq!(ask(&url, "SELECT id FROM kept").await, 7);
}

#[test]
fn data_in_use_are_refused_with_the_way_out() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    let _server = start(kept(&data));
    let error = PostgresServer::start(kept(&data))
        .expect_err("the data are in use")
        .to_string();
    assert!(
        error.contains("another `callq dev` is running") && error.contains("stop it first"),
        "{error}"
    );
}

#[test]
fn data_of_another_version_are_refused_with_the_way_out() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    start(kept(&data)).stop().expect("the server stops");
    fs::write(data.join("data/PG_VERSION"), "9\n").expect("a test may write files");
    let error = PostgresServer::start(kept(&data))
        .expect_err("the version differs")
        .to_string();
    assert!(
        error.contains("made by PostgreSQL 9") && error.contains("CALLQ_PG_BIN"),
        "{error}"
    );
}

#[tokio::test]
async fn stale_pid_file_of_a_foreign_process_is_no_obstacle() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    start(kept(&data)).stop().expect("the server stops");
    // After a reboot the id in the file is often somebody else's: here it is ours.
    let pid_file = format!("{}\n{}\n", std::process::id(), data.join("data").display());
    fs::write(data.join("data/postmaster.pid"), pid_file).expect("a test may write files");
    let server = start(kept(&data));
    assert_eq!(ask(&server.url("postgres"), "SELECT 42").await, 42);
}

#[test]
fn server_that_does_not_start_shows_what_it_said() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    start(kept(&data)).stop().expect("the server stops");
    fs::write(data.join("data/postgresql.conf"), "no_such_setting = 1\n")
        .expect("a test may write files");
    let error = PostgresServer::start(kept(&data))
        .expect_err("the setting is wrong")
        .to_string();
    assert!(
        error.contains("ended before it was ready") && error.contains("no_such_setting"),
        "{error}"
    );
}

#[test]
fn machine_without_postgres_is_told_what_to_install() {
    let root = open_folder();
    fs::create_dir(root.path().join("etc")).expect("a test may make folders");
    fs::copy("/etc/passwd", root.path().join("etc/passwd")).expect("a test may copy files");
    let places = Places {
        pg_bin: None,
        path: "".into(),
        root: root.path().to_owned(),
        ..Places::from_env()
    };
    let options = StartOptions {
        places,
        ..StartOptions::throwaway()
    };
    let error = PostgresServer::start(options)
        .expect_err("there is nothing to run")
        .to_string();
    assert!(
        error.contains("apt-get install") && error.contains("brew install"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn wrong_bin_dir_is_named() {
    let folder = open_folder();
    let places = Places {
        pg_bin: Some(folder.path().to_owned()),
        ..Places::from_env()
    };
    let options = StartOptions {
        places,
        ..StartOptions::throwaway()
    };
    let error = PostgresServer::start(options)
        .expect_err("the folder is empty")
        .to_string();
    let expected = format!("CALLQ_PG_BIN is {}", folder.path().display());
    assert!(
        error.starts_with(&expected) && error.contains("initdb"),
        "{error}"
    );
}

#[tokio::test]
async fn killed_parent_takes_its_server_along_and_the_next_start_works() {
    let folder = open_folder();
    let data = folder.path().join("pg");
    let mut child = ChildProcess::run("hold", &data, None);
    let end = ProcessEnd::of(child.server_pid);
    child.process.kill().expect("the child can be killed");
    end.wait();
    let server = start(kept(&data));
    assert_eq!(ask(&server.url("postgres"), "SELECT 42").await, 42);
}

#[test]
fn temporary_data_of_a_killed_process_are_swept_by_the_next_start() {
    let mut child = ChildProcess::run("hold", Path::new(""), None);
    let end = ProcessEnd::of(child.server_pid);
    assert!(child.data_dir.exists());
    child.process.kill().expect("the child can be killed");
    child.process.wait().expect("the child can be waited for");
    end.wait();
    let _server = start(StartOptions::throwaway());
    assert!(!child.data_dir.exists());
}

#[test]
fn process_exit_without_drop_leaves_no_trace() {
    let mut child = ChildProcess::run("exit", Path::new(""), None);
    let end = ProcessEnd::of(child.server_pid);
    drop(child.stdin.take());
    child.process.wait().expect("the child can be waited for");
    end.wait();
    assert!(!child.data_dir.exists());
}

#[test]
fn ordinary_user_needs_no_root() {
    let nobody = passwd_ids("nobody");
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let (true, Some(ids)) = (is_root, nobody) else {
        // Then every other test of this file runs as an ordinary user.
        return;
    };
    let mut child = ChildProcess::run("exit", Path::new(""), Some(ids));
    let owner = fs::metadata(&child.data_dir).map(|meta| meta.uid());
    assert_eq!(owner.expect("the data are there"), ids.0);
    drop(child.stdin.take());
    assert!(
        child
            .process
            .wait()
            .expect("the child can be waited for")
            .success()
    );
    assert!(!child.data_dir.exists());
}

/// Run by the tests above as a process of its own, which then holds a server until its input ends.
#[test]
fn child_process() {
    let Ok(role) = env::var(ROLE) else { return };
    let data = PathBuf::from(env::var_os(DATA).unwrap_or_default());
    let server = if data.as_os_str().is_empty() {
        start(StartOptions::throwaway())
    } else {
        start(kept(&data))
    };
    let mut out = std::io::stdout();
    let line = format!(
        "\nserver {} {}\n",
        server.pid(),
        server.data_dir().display()
    );
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
    std::io::stdin().lines().for_each(drop);
    if role == "exit" {
        std::mem::forget(server);
        std::process::exit(0);
    }
}

fn passwd_ids(name: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?
        .to_owned();
    let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
    Some((ids.next()??, ids.next()??))
}
