//! The modules of a crate, what each of them defines and imports, and which file defines what a
//! path names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Token, tokens};

/// An import: the path that is imported, and the name that it has from then on.
struct Import {
    path: Vec<String>,
    name: String,
    /// Whether it is there for other modules: `pub`, `pub(crate)` and so on.
    exported: bool,
}

#[derive(Default)]
struct Module {
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    imports: Vec<Import>,
    /// The paths of `use path::*`.
    globs: Vec<Vec<String>>,
    /// Every path in the code, names of one word included.
    paths: BTreeSet<Vec<String>>,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// Something that this file defines.
    Item(usize),
    /// Something of another crate.
    Foreign,
}

/// A file uses what another one defines.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    /// The path by which it does.
    pub(crate) path: String,
}

/// The modules that are compiled outside of tests into one crate.
pub(crate) struct Crate {
    files: Vec<PathBuf>,
    modules: Vec<Module>,
}

/// How many imports of imports are followed.
const MAX_INDIRECTIONS: usize = 32;

const ITEMS: [&str; 8] = ["struct", "enum", "union", "trait", "type", "const", "static", "fn"];

impl Crate {
    /// Reads a crate from its root and on through its `mod` declarations.
    pub(crate) fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut this = Self { files: Vec::new(), modules: Vec::new() };
        let folder = root.parent().unwrap_or(root);
        this.read_file(root, folder, None, read);
        this
    }

    /// Reads a file as a new module, whose children lie in `folder`.
    fn read_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> usize {
        let file = self.files.len();
        self.files.push(path.to_owned());
        let module = self.add_module(file, parent);
        let source = read(path).unwrap_or_default();
        self.scan(&mut Scan { tokens: &tokens(&source), next: 0 }, module, folder, read);
        module
    }

    fn add_module(&mut self, file: usize, parent: Option<usize>) -> usize {
        self.modules.push(Module { file, parent, ..Module::default() });
        self.modules.len() - 1
    }

    /// Reads a module's tokens up to the end of its block or file.
    fn scan(
        &mut self,
        scan: &mut Scan<'_>,
        module: usize,
        folder: &Path,
        read: &dyn Fn(&Path) -> Option<String>,
    ) {
        let mut depth = 0_usize;
        let mut exported = false;
        let mut after_dot = false;
        while let Some(token) = scan.take() {
            let field = std::mem::take(&mut after_dot);
            match token {
                Token::Mark('#') if scan.attribute_is_for_tests() => scan.skip_item(),
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return,
                Token::Mark('}') => {
                    depth -= 1;
                    exported = false;
                }
                // Behind `::`, a path goes on from a type or comes from outside of this crate.
                Token::Mark('.') | Token::Separator => after_dot = true,
                Token::Mark(',' | ';') => exported = false,
                Token::Mark(_) => {}
                Token::Word("pub") => exported = true,
                // (`use<'_>` captures lifetimes.)
                Token::Word("use") if scan.peek() != Some(Token::Mark('<')) => {
                    self.import(scan, &[], module, exported);
                }
                Token::Word("mod") => {
                    // A macro may name it: `mod $name { … }`.
                    if scan.peek() == Some(Token::Mark('$')) {
                        scan.take();
                    }
                    let Some(Token::Word(name)) = scan.take() else { continue };
                    let inner = folder.join(name);
                    let child = if scan.take() == Some(Token::Mark('{')) {
                        let file = self.modules[module].file;
                        let child = self.add_module(file, Some(module));
                        self.scan(scan, child, &inner, read);
                        child
                    } else {
                        let files = [inner.with_extension("rs"), inner.join("mod.rs")];
                        let path = files.iter().find(|path| read(path).is_some());
                        let Some(path) = path else { continue };
                        self.read_file(path, &inner, Some(module), read)
                    };
                    self.modules[module].children.insert(name.to_owned(), child);
                    exported = false;
                }
                Token::Word("macro_rules") => {
                    scan.take();
                    if let Some(Token::Word(name)) = scan.take() {
                        self.modules[module].items.insert(name.to_owned());
                    }
                }
                Token::Word(word) if ITEMS.contains(&word) && !field => {
                    exported = false;
                    if let (0, Some(Token::Word(name))) = (depth, scan.peek())
                        && !ITEMS.contains(&name)
                    {
                        self.modules[module].items.insert(name.to_owned());
                    }
                }
                Token::Word(word) => {
                    let path = scan.path_from(word);
                    if !field {
                        self.modules[module].paths.insert(path);
                    }
                }
            }
        }
    }

    /// Reads one tree of a `use` declaration, up to the mark behind it.
    fn import(&mut self, scan: &mut Scan<'_>, prefix: &[String], module: usize, exported: bool) {
        let mut path = prefix.to_vec();
        let mut name = None;
        while let Some(token) = scan.peek() {
            match token {
                Token::Word("as") => {
                    scan.take();
                    if let Some(Token::Word(other)) = scan.peek() {
                        name = Some(other.to_owned());
                    }
                }
                // `use path::{self}` imports `path`.
                Token::Word("self") if !path.is_empty() => name = path.last().cloned(),
                Token::Word(word) => {
                    path.push(word.to_owned());
                    name = Some(word.to_owned());
                }
                Token::Separator => {}
                Token::Mark('*') => {
                    self.modules[module].globs.push(path);
                    scan.take();
                    return;
                }
                Token::Mark('{') => {
                    while matches!(scan.take(), Some(Token::Mark('{' | ','))) {
                        self.import(scan, &path, module, exported);
                    }
                    return;
                }
                Token::Mark(_) => break,
            }
            scan.take();
        }
        if let Some(name) = name {
            self.modules[module].imports.push(Import { path, name, exported });
        }
    }

    /// What a name in a module stands for; a module rather than an item if `inner` names follow.
    fn lookup(&self, module: usize, name: &str, inner: bool, budget: usize) -> Option<Target> {
        let budget = budget.checked_sub(1)?;
        let of = &self.modules[module];
        let child = of.children.get(name).map(|child| Target::Module(*child));
        let item = of.items.contains(name).then_some(Target::Item(of.file));
        let own = if inner { child.or(item) } else { item.or(child) };
        let imported = || {
            let imports = of.imports.iter().filter(|import| import.name == name);
            let targets = imports.map(|import| {
                self.resolve(module, &import.path, inner, budget).unwrap_or(Target::Foreign)
            });
            targets.max_by_key(|target| !matches!(target, Target::Foreign))
        };
        let by_glob = || {
            of.globs.iter().find_map(|path| match self.resolve(module, path, true, budget)? {
                Target::Module(target) => self.lookup(target, name, inner, budget),
                Target::Item(_) | Target::Foreign => None,
            })
        };
        own.or_else(imported).or_else(by_glob)
    }

    /// What a path in a module leads to, if that is in this crate.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        inner: bool,
        budget: usize,
    ) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => module,
            "super" => self.modules[module].parent?,
            name => match self.lookup(module, name, inner || !rest.is_empty(), budget)? {
                Target::Module(at) => at,
                end => return Some(end),
            },
        };
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            if name == "super" {
                at = self.modules[at].parent?;
                continue;
            }
            // A name that is not found comes of a macro there.
            let defined_here = Target::Item(self.modules[at].file);
            let target = self.lookup(at, name, inner || !rest.is_empty(), budget);
            match target.unwrap_or(defined_here) {
                Target::Module(next) => at = next,
                end => return Some(end),
            }
        }
        Some(Target::Module(at))
    }

    /// Which file uses which other one: by an import for itself, or by a path. What is only handed
    /// on (`pub use`) is used by those who take it, from the file that defines it.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = BTreeMap::new();
        for (module, of) in self.modules.iter().enumerate() {
            let imports = of.imports.iter().filter(|import| !import.exported);
            let imports = imports.map(|import| &import.path);
            for path in of.paths.iter().chain(imports) {
                let target = self.resolve(module, path, false, MAX_INDIRECTIONS);
                if let Some(Target::Item(file)) = target
                    && file != of.file
                {
                    edges.entry((of.file, file)).or_insert_with(|| path.join("::"));
                }
            }
        }
        let edges = edges.into_iter().map(|((from, to), path)| Edge {
            from: self.files[from].clone(),
            to: self.files[to].clone(),
            path,
        });
        edges.collect()
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// A place in a list of tokens.
struct Scan<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    /// The path that begins with a word that is read already.
    fn path_from(&mut self, first: &str) -> Vec<String> {
        let mut path = vec![first.to_owned()];
        while let [Token::Separator, Token::Word(word), ..] =
            self.tokens.get(self.next..).unwrap_or_default()
        {
            path.push((*word).to_owned());
            self.next += 2;
        }
        path
    }

    /// Reads an attribute behind its `#`: whether what follows is compiled for tests alone.
    fn attribute_is_for_tests(&mut self) -> bool {
        let start = self.next;
        if self.peek() != Some(Token::Mark('[')) {
            return false;
        }
        self.skip_group();
        let attribute = self.tokens.get(start + 1..self.next).unwrap_or_default();
        let test = Token::Word("test");
        matches!(attribute, [Token::Word("cfg"), Token::Mark('('), first, ..] if *first == test)
            || matches!(attribute, [Token::Word("cfg"), Token::Mark('('), Token::Word("all"), _, first, ..] if *first == test)
    }

    /// Goes past the group of brackets that is opened next.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.take() {
            match token {
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes past the item that begins here, with further attributes.
    fn skip_item(&mut self) {
        while let Some(token) = self.peek() {
            match token {
                Token::Mark('{') => return self.skip_group(),
                Token::Mark('(' | '[') => self.skip_group(),
                Token::Mark(';') => {
                    self.next += 1;
                    return;
                }
                _ => self.next += 1,
            }
        }
    }
}
