//! Which files a path, a folder or a pattern stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

use super::Failure;
use crate::{Control, Error, Result};

/// What was found under the paths given.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Absolute paths of the files, with their sizes, each once, in order.
    pub(super) files: Vec<(PathBuf, u64)>,
    /// Folders and files that could not be looked into.
    pub(super) failed: Vec<Failure>,
    /// What the paths stand for, to tell which documents are gone.
    scopes: Vec<Scope>,
    /// Folders below which nothing can be said to be gone.
    unseen: Vec<PathBuf>,
}

#[derive(Debug)]
enum Scope {
    /// One file.
    File(PathBuf),
    /// Everything below a folder.
    Folder(PathBuf),
    /// Everything that a pattern matches.
    Pattern(GlobMatcher),
}

impl Found {
    /// Whether a document from `origin` lies below the paths given and its file is gone.
    pub(super) fn is_gone(&self, origin: &str) -> bool {
        let path = Path::new(origin);
        let inside = self.scopes.iter().any(|scope| match scope {
            Scope::File(file) => file == path,
            Scope::Folder(folder) => path.starts_with(folder),
            Scope::Pattern(pattern) => pattern.is_match(path),
        });
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
                    if files.len() == before && !gone_is_fine {
                        return Err(Error::NoSuchFile { path: path.clone() });
                    }
                    found.scopes.push(Scope::Pattern(matcher));
                } else if gone_is_fine {
                    found.scopes.push(Scope::Folder(absolute));
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
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
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
                found.unseen.push(path.clone());
                found.failed.push(Failure::new(
                    &path,
                    &Error::Io {
                        path: path.clone(),
                        source,
                    },
                ));
                continue;
            }
        };
        let path = entry.path();
        if matcher.is_some_and(|m| !m.is_match(path)) {
            continue;
        }
        // Links to files are followed, links to folders are not: they could lead in circles.
        if let Ok(meta) = path.metadata()
            && meta.is_file()
        {
            files.insert((path.to_owned(), meta.len()));
        }
    }
    Ok(())
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
