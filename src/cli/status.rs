//! `status`.

use std::path::PathBuf;

use clap::Args;

use super::error::Failure;
use super::open::is_mount;
use super::{Outcome, Result};

/// Show what a mount is doing: keys, files, troubles, jobs.
#[derive(Args)]
pub(super) struct Status {
    /// Where it is mounted.
    mountpoint: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// The file that tells it.
pub(super) fn read(mountpoint: &std::path::Path) -> Result<serde_json::Value> {
    if !is_mount(mountpoint) {
        let what = "no confseal mount stands there";
        return Err(Failure::Usage(format!("{}: {what}", mountpoint.display())));
    }
    let path = mountpoint.join(crate::store::CONTROL_DIR).join("status");
    let text = std::fs::read_to_string(&path).map_err(Failure::io(&path))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Io { path, error: std::io::Error::other(error) })
}

impl Status {
    pub(super) fn run(self) -> Result {
        let status = read(&self.mountpoint)?;
        if self.json {
            println!("{status:#}");
            return Ok(Outcome::Done);
        }
        let text = |name: &str| status[name].as_str().unwrap_or("-").to_owned();
        let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
        println!("store         {}", text("store"));
        if status["store_at"].is_string() {
            println!("reachable at  {}", text("store_at"));
        }
        println!("up for        {} s", status["uptime_seconds"]);
        println!("master key    {}", text("master_key"));
        for key in list("legacy_keys") {
            println!("legacy key    {}", key.as_str().unwrap_or("-"));
        }
        println!("policy        {}", text("policy"));
        if let Some(why) = status["reload_refused"].as_str() {
            println!("last reload   refused: {}", why.replace('\n', "\n              "));
        }
        for (key, count) in status["tokens"].as_object().into_iter().flatten() {
            println!("tokens        {count} under {key}");
        }
        for (scheme, count) in status["foreign"].as_object().into_iter().flatten() {
            println!("foreign       {count} of scheme {scheme}");
        }
        for (form, count) in status["files"].as_object().into_iter().flatten() {
            println!("files         {count} {form}");
        }
        if status["gives_back"] == true {
            println!(
                "given back    what is saved stays plain, until `confseal seal` or the next mount"
            );
        }
        println!("unsaved       {}", status["unsaved"]);
        for trouble in list("trouble") {
            println!(
                "in trouble    {}: {}",
                trouble["file"].as_str().unwrap_or("-"),
                trouble["reason"].as_str().unwrap_or("-")
            );
        }
        for exposed in list("in_the_clear") {
            println!(
                "in the clear  {} {}",
                exposed["file"].as_str().unwrap_or("-"),
                exposed["field"].as_str().unwrap_or("-")
            );
        }
        for kept in list("kept") {
            println!("kept          {}", kept.as_str().unwrap_or("-"));
        }
        if let Some(why) = status["unwatched"].as_str() {
            println!("not watched   {why}: changes in the store are seen within a second");
        } else if status["unwatched_directories"] != 0 {
            let count = &status["unwatched_directories"];
            println!("not watched   {count} directories: changes in them are seen within a second");
        }
        for job in list("jobs") {
            println!(
                "job           {}, {} files",
                job["command"].as_str().unwrap_or("-"),
                job["files"]
            );
        }
        Ok(Outcome::Done)
    }
}
