//! Which files a path, a folder or a pattern stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

use super::{Failure, FileWarning};
use crate::{Control, Error, Result};

/// What was found under the paths given.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Absolute paths of the files, with their sizes, each once, in order.
    pub(super) files: Vec<(PathBuf, u64)>,
    /// Folders and files that could not be looked into.
    pub(super) failed: Vec<Failure>,
    /// What is no file: pipes, devices, links that are not followed.
    pub(super) skipped: Vec<FileWarning>,
    /// What the paths stand for, to tell which documents are gone.
    scopes: Vec<Scope>,
    /// Folders below which nothing can be said to be gone.
    unseen: Vec<PathBuf>,
    /// Paths as they were given that stand for nothing there is, and what they would cover.
    unmatched: Vec<(PathBuf, Scope)>,
}

#[derive(Debug, Clone)]
enum Scope {
    /// One file.
    File(PathBuf),
    /// Everything below a folder.
    Folder(PathBuf),
    /// Everything that a pattern matches.
    Pattern(GlobMatcher),
}

impl Scope {
    fn covers(&self, path: &Path) -> bool {
        match self {
            Self::File(file) => file == path,
            Self::Folder(folder) => path.starts_with(folder),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

impl Found {
    /// Refuses a path that stands for nothing there is, nor for any document from `origins`: it
    /// was mistyped.
    pub(super) fn check_unmatched<'a>(
        &self,
        origins: &(impl Iterator<Item = &'a str> + Clone),
    ) -> Result<()> {
        for (path, scope) in &self.unmatched {
            if !origins
                .clone()
                .any(|origin| scope.covers(Path::new(origin)))
            {
                return Err(Error::NoSuchFile { path: path.clone() });
            }
        }
        Ok(())
    }

    /// What could not be looked into, below which nothing can be said to be gone.
    fn refuse(&mut self, path: PathBuf, source: std::io::Error) {
        self.unseen.push(path.clone());
        let shown = path.clone();
        self.failed
            .push(Failure::new(&shown, &Error::Io { path, source }));
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.skipped.push(FileWarning {
            path: path.to_owned(),
            code: "not_a_file".to_owned(),
            page: None,
            message: why.to_owned(),
        });
    }

    /// Whether a document from `origin` lies below the paths given and its file is gone.
    pub(super) fn is_gone(&self, origin: &str) -> bool {
        let path = Path::new(origin);
        let inside = self.scopes.iter().any(|scope| scope.covers(path));
        inside
            && !self.unseen.iter().any(|folder| path.starts_with(folder))
            && self
                .files
                .binary_search_by(|(file, _)| file.as_path().cmp(path))
                .is_err()
    }
}

/// Looks at each of `paths`: a file, a folder (everything below it but hidden files), or a
/// pattern with `*`, `**`, `?`, `[…]` or `{…}`. Where `gone_is_fine`, a path that does not exist stands
/// for a file that was removed.
pub(super) fn find(paths: &[PathBuf], gone_is_fine: bool, control: &Control) -> Result<Found> {
    let mut found = Found::default();
    let mut files = BTreeSet::new();
    for path in paths {
        let absolute = absolute(path)?;
        match absolute.metadata() {
            Ok(meta) if meta.is_dir() => {
                walk(&absolute, None, &mut files, &mut found, control)?;
                found.scopes.push(Scope::Folder(absolute));
            }
            Ok(meta) => {
                files.insert((absolute.clone(), meta.len()));
                found.scopes.push(Scope::File(absolute));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if is_pattern(path) {
                    let (root, matcher) = pattern(&absolute)?;
                    let before = files.len();
                    walk(&root, Some(&matcher), &mut files, &mut found, control)?;
                    let scope = Scope::Pattern(matcher);
                    if files.len() == before {
                        if !gone_is_fine {
                            return Err(Error::NoSuchFile { path: path.clone() });
                        }
                        found.unmatched.push((path.clone(), scope.clone()));
                    }
                    found.scopes.push(scope);
                } else if gone_is_fine {
                    let scope = Scope::Folder(absolute);
                    found.unmatched.push((path.clone(), scope.clone()));
                    found.scopes.push(scope);
                } else {
                    return Err(Error::NoSuchFile { path: path.clone() });
                }
            }
            Err(source) => {
                return Err(Error::Io {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    found.files = files.into_iter().collect();
    Ok(found)
}

/// The absolute path, symbolic links resolved where it exists.
fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[', '{'])
}

/// A pattern's matcher, and the folder that everything it can match lies below.
fn pattern(path: &Path) -> Result<(PathBuf, GlobMatcher)> {
    let root: PathBuf = path
        .components()
        .take_while(|c| !is_pattern(c.as_ref()))
        .collect();
    let root = root.canonicalize().unwrap_or(root);
    let rest: PathBuf = path
        .components()
        .skip_while(|c| !is_pattern(c.as_ref()))
        .collect();
    let whole = Path::new(&globset::escape(&root.to_string_lossy())).join(rest);
    let matcher = GlobBuilder::new(&whole.to_string_lossy())
        .literal_separator(true)
        .build()
        .map_err(|e| Error::Pattern {
            pattern: path.display().to_string(),
            detail: e.kind().to_string(),
        })?
        .compile_matcher();
    Ok((root, matcher))
}

fn walk(
    root: &Path,
    matcher: Option<&GlobMatcher>,
    files: &mut BTreeSet<(PathBuf, u64)>,
    found: &mut Found,
    control: &Control,
) -> Result<()> {
    let visible = |entry: &walkdir::DirEntry| {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        (entry.depth() == 0 || !hidden) && !is_our_own(entry)
    };
    for entry in WalkDir::new(root).into_iter().filter_entry(visible) {
        control.check()?;
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                let path = e.path().unwrap_or(root).to_owned();
                let source = e
                    .into_io_error()
                    .unwrap_or_else(|| std::io::Error::other("a loop of links"));
                // A root that a pattern names and that is not there matches nothing.
                if matcher.is_some() && source.kind() == std::io::ErrorKind::NotFound {
                    continue;
                }
                found.refuse(path, source);
                continue;
            }
        };
        let path = entry.path();
        if matcher.is_some_and(|m| !m.is_match(path)) {
            continue;
        }
        if entry.file_type().is_dir() {
            continue;
        }
        // Links to files are followed, links to folders are not: they could lead in circles.
        match path.metadata() {
            Ok(meta) if meta.is_file() && path.to_str().is_none() => {
                // A document is its path, and two such names could look the same.
                let what = "the file's name is no valid Unicode; rename it".to_owned();
                found
                    .failed
                    .push(Failure::new(path, &Error::Invalid { what }));
            }
            Ok(meta) if meta.is_file() => {
                files.insert((path.to_owned(), meta.len()));
            }
            Ok(meta) if meta.is_dir() => found.skip(
                path,
                "skipped, a link to a folder; name the folder itself to read it",
            ),
            Ok(_) => found.skip(path, "skipped, not a regular file"),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && entry.path_is_symlink() => {
                found.skip(path, "skipped, a link that leads to nothing");
            }
            Err(source) => found.refuse(path.to_owned(), source),
        }
    }
    Ok(())
}

/// Whether a folder is a collection, or what a server keeps: `faq ingest .` does not read those.
fn is_our_own(entry: &walkdir::DirEntry) -> bool {
    let has = |name: &str| entry.path().join(name).exists();
    entry.file_type().is_dir() && (has("truth.sqlite") || (has("server.db") && has("blobs")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(found: &Found) -> Vec<String> {
        found
            .files
            .iter()
            .map(|(p, _)| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        for file in [
            "x.md",
            "a/y.md",
            "a/b/z.txt",
            ".git/config",
            "a/.hidden.md",
            "[w].md",
        ] {
            std::fs::write(root.join(file), "text").unwrap();
        }
        (dir, root)
    }

    #[test]
    fn a_folder_is_everything_below_it_but_what_is_hidden() {
        let (_dir, root) = tree();
        let found = find(&[root.clone(), root.join("x.md")], false, &Control::new()).unwrap();
        assert_eq!(names(&found), ["[w].md", "z.txt", "y.md", "x.md"]);
    }

    #[test]
    fn what_the_engine_keeps_is_not_read() {
        let (_dir, root) = tree();
        let kept = root.join("faq-data/collections/default");
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::write(kept.join("truth.sqlite"), "").unwrap();
        std::fs::write(kept.join("meta.json"), "{}").unwrap();
        let found = find(&[root], false, &Control::new()).unwrap();
        assert!(!names(&found).contains(&"meta.json".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_unicode_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let (_dir, root) = tree();
        let name = std::ffi::OsStr::from_bytes(b"bad\xff.txt");
        std::fs::write(root.join(name), "text").unwrap();
        let found = find(&[root], false, &Control::new()).unwrap();
        assert_eq!(found.failed.len(), 1);
        assert_eq!(found.files.len(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named_and_passed_over() {
        use std::os::unix::fs::symlink;
        let (_dir, root) = tree();
        symlink("x.md", root.join("link.md")).unwrap();
        symlink("gone.md", root.join("nothing.md")).unwrap();
        symlink("circle.md", root.join("circle.md")).unwrap();
        symlink("a", root.join("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let found = find(&[root], false, &Control::new()).unwrap();
        assert_eq!(
            names(&found),
            ["[w].md", "z.txt", "y.md", "link.md", "x.md"]
        );
        let mut skipped: Vec<(String, &str)> = found
            .skipped
            .iter()
            .map(|s| {
                let name = s.path.file_name().unwrap().to_string_lossy().into_owned();
                (name, s.message.as_str())
            })
            .collect();
        skipped.sort();
        assert_eq!(
            skipped,
            [
                (
                    "folder".to_owned(),
                    "skipped, a link to a folder; name the folder itself to read it"
                ),
                (
                    "nothing.md".to_owned(),
                    "skipped, a link that leads to nothing"
                ),
                ("socket".to_owned(), "skipped, not a regular file"),
            ]
        );
        let failed: Vec<_> = found.failed.iter().map(|f| f.path.file_name()).collect();
        assert_eq!(failed, [Some(std::ffi::OsStr::new("circle.md"))]);
    }

    #[test]
    fn a_pruned_path_stands_for_something() {
        let (_dir, root) = tree();
        let found = find(&[root.join("gone")], true, &Control::new()).unwrap();
        let origin = root.join("gone/old.md").to_string_lossy().into_owned();
        assert!(
            found
                .check_unmatched(&[origin.as_str()].into_iter())
                .is_ok()
        );
        assert!(found.check_unmatched(&std::iter::empty()).is_err());
    }

    #[test]
    fn patterns_match_whole_paths() {
        let (_dir, root) = tree();
        let at =
            |pattern: &str| find(&[root.join(pattern)], false, &Control::new()).map(|f| names(&f));
        assert_eq!(at("*.md").unwrap(), ["[w].md", "x.md"]);
        assert_eq!(at("**/*.md").unwrap(), ["[w].md", "y.md", "x.md"]);
        assert_eq!(at("a/**/*.{txt,pdf}").unwrap(), ["z.txt"]);
        assert_eq!(at("[w].md").unwrap(), ["[w].md"]);
        assert!(matches!(at("*.pdf"), Err(Error::NoSuchFile { .. })));
        assert!(matches!(at("nothing"), Err(Error::NoSuchFile { .. })));
        assert!(matches!(at("a{.md"), Err(Error::Pattern { .. })));
    }

    #[test]
    fn only_what_lies_below_the_paths_can_be_gone() {
        let (_dir, root) = tree();
        let found = find(&[root.join("a")], true, &Control::new()).unwrap();
        let origin = |p: &str| root.join(p).to_string_lossy().into_owned();
        assert!(found.is_gone(&origin("a/old.md")));
        assert!(!found.is_gone(&origin("a/y.md")));
        assert!(!found.is_gone(&origin("old.md")));
        let found = find(&[root.join("*.md")], true, &Control::new()).unwrap();
        assert!(found.is_gone(&origin("old.md")));
        assert!(!found.is_gone(&origin("a/old.md")));
    }
}
