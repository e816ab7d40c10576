//! The part of Python's pickle that `torch.save` writes for state dicts.
//!
//! In: bytes of `data.pkl`. Out: a [`Heap`] of plain values with the tensors' descriptions; nothing is executed.
//! Invariant: a name of Python that isn't listed is refused, as is any other opcode; memory grows with the bytes. Values are nodes of
//! one vector, so that no depth of nesting reaches the stack, and cycles harm nobody.
//! Format: Lib/pickletools.py of CPython describes each opcode.

use std::collections::BTreeMap;

/// Index of a node.
pub(super) type Id = usize;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// None, a bool, bytes, a device and the like: of no interest.
    Other,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(&'static str),
    Storage {
        element: &'static str,
        key: String,
        length: i64,
    },
    /// A view of a storage.
    Tensor {
        storage: Id,
        offset: i64,
        shape: Vec<i64>,
        stride: Vec<i64>,
    },
    /// Coordinates (axes, entries), values (entries).
    Sparse {
        indices: Id,
        values: Id,
        shape: Vec<i64>,
    },
}

/// All values of a pickle.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Heap {
    pub nodes: Vec<Node>,
}

/// Names that may be read.
const NAMES: [&str; 25] = [
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_sparse_tensor",
    "torch.serialization _get_layout",
    "torch Size",
    "torch device",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    "torch float32",
    "torch float64",
    "torch float16",
    "torch bfloat16",
    "torch int64",
    "torch int32",
    "torch bool",
    "torch uint8",
];

fn name(module: &str, name: &str) -> Result<&'static str, String> {
    let full = format!("{module} {name}");
    NAMES.into_iter().find(|n| *n == full).ok_or_else(|| {
        format!(
            "it holds an object of Python, `{module}.{name}`, which is not read: only tensors, numbers and texts in dicts and lists are"
        )
    })
}

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    heap: Heap,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
}

/// Runs a pickle to its end; returns all values and the last one's index.
pub(super) fn read(bytes: &[u8]) -> Result<(Heap, Id), String> {
    let mut m = Machine { bytes, at: 0, heap: Heap::default(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() };
    loop {
        let [op] = m.take()?;
        if op == b'.' {
            let root = m.pop()?;
            return Ok((m.heap, root));
        }
        m.step(op)?;
    }
}

impl Machine<'_> {
    fn fail(&self, what: &str) -> String {
        format!("its pickle is damaged near byte {}: {what}", self.at)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let chunk = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let chunk = *chunk.ok_or_else(|| self.fail("it ends early"))?;
        self.at += N;
        Ok(chunk)
    }

    fn slice(&mut self, length: u64) -> Result<&[u8], String> {
        let end = usize::try_from(length).ok().and_then(|n| self.at.checked_add(n)).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.fail("it ends early"))?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or_else(|| self.fail("a name does not end"))?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(text)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.heap.nodes.len());
        self.heap.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Id, String> {
        // What lies below a mark is not to be taken.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.fail("a value is missing"));
        }
        self.stack.pop().ok_or_else(|| self.fail("a value is missing"))
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| self.fail("a value is missing"))
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|&m| m <= self.stack.len()).ok_or_else(|| self.fail("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn text(&mut self, length: u64) -> Result<(), String> {
        let text = String::from_utf8(self.slice(length)?.to_vec()).map_err(|_| self.fail("a text is not UTF-8"))?;
        self.push(Node::Text(text));
        Ok(())
    }

    fn bytes(&mut self, length: u64) -> Result<(), String> {
        self.slice(length)?;
        self.push(Node::Other);
        Ok(())
    }

    fn tuple(&mut self, n: usize) -> Result<(), String> {
        let mut items = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Node::Tuple(items));
        Ok(())
    }

    fn put(&mut self, key: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn get(&mut self, key: u32) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or_else(|| self.fail("it names a value that is not there"))?;
        self.stack.push(id);
        Ok(())
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.heap.nodes[top] {
            Node::List(list) => list.extend(items),
            _ => return Err(self.fail("items for what is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.heap.nodes[top] {
            Node::Dict(dict) if items.len().is_multiple_of(2) => dict.extend(items.chunks_exact(2).map(|kv| (kv[0], kv[1]))),
            _ => return Err(self.fail("items for what is no dict")),
        }
        Ok(())
    }

    fn step(&mut self, op: u8) -> Result<(), String> {
        match op {
            0x80 => {
                let [version] = self.take()?;
                if !(2..=5).contains(&version) {
                    return Err(format!("it is a pickle of protocol {version}, expected 2 to 5"));
                }
            }
            0x95 => drop(self.take::<8>()?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.push(Node::Other),
            b'J' => {
                let x = i32::from_le_bytes(self.take()?).into();
                self.push(Node::Int(x));
            }
            b'K' => {
                let [x] = self.take()?;
                self.push(Node::Int(x.into()));
            }
            b'M' => {
                let x = u16::from_le_bytes(self.take()?).into();
                self.push(Node::Int(x));
            }
            0x8a => {
                let [n] = self.take()?;
                let raw = self.slice(n.into())?;
                let sign = if raw.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                let mut wide = [sign; 8];
                let fits = raw.len() <= 8;
                if fits {
                    wide[..raw.len()].copy_from_slice(raw);
                }
                // A number this large is no shape and no offset.
                self.push(if fits { Node::Int(i64::from_le_bytes(wide)) } else { Node::Other });
            }
            b'G' => self.bytes(8)?,
            b'X' | b'T' => {
                let n = u32::from_le_bytes(self.take()?);
                self.text(n.into())?;
            }
            0x8c | b'U' => {
                let [n] = self.take()?;
                self.text(n.into())?;
            }
            0x8d => {
                let n = u64::from_le_bytes(self.take()?);
                self.text(n)?;
            }
            b'C' => {
                let [n] = self.take()?;
                self.bytes(n.into())?;
            }
            b'B' => {
                let n = u32::from_le_bytes(self.take()?);
                self.bytes(n.into())?;
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(op - 0x84))?,
            b't' => {
                let items = self.since_mark()?;
                self.push(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.extend_dict(&items)?;
            }
            b'q' => {
                let [key] = self.take()?;
                self.put(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.take()?);
                self.put(key)?;
            }
            0x94 => {
                let key = self.memo.len() as u32;
                self.put(key)?;
            }
            b'h' => {
                let [key] = self.take()?;
                self.get(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.take()?);
                self.get(key)?;
            }
            b'0' => drop(self.pop()?),
            b'c' => {
                let (module, of) = (self.line()?, self.line()?);
                self.push(Node::Name(name(&module, &of)?));
            }
            0x93 => {
                let (of, module) = (self.pop()?, self.pop()?);
                match (&self.heap.nodes[module], &self.heap.nodes[of]) {
                    (Node::Text(module), Node::Text(of)) => {
                        let found = name(module, of)?;
                        self.push(Node::Name(found));
                    }
                    _ => return Err(self.fail("a name that is no text")),
                }
            }
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            // Attributes, such as a state dict's `_metadata`: of no interest.
            b'b' => drop(self.pop()?),
            _ => {
                return Err(format!(
                    "its pickle has the opcode 0x{op:02x} at byte {}, which torch.save does not write for tensors",
                    self.at - 1
                ));
            }
        }
        Ok(())
    }

    /// `('storage', torch.FloatStorage, key, device, length)`.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let nodes = &self.heap.nodes;
        let Node::Tuple(parts) = &nodes[id] else { return Err(self.fail("a storage is no tuple")) };
        let parts: Vec<&Node> = parts.iter().map(|&p| &nodes[p]).collect();
        let found = match parts.as_slice() {
            [Node::Text(tag), Node::Name(element), Node::Text(key), _, Node::Int(length), ..] if tag == "storage" => {
                Node::Storage { element, key: key.clone(), length: *length }
            }
            _ => return Err(self.fail("a storage is not described as torch does")),
        };
        self.push(found);
        Ok(())
    }

    fn ints(&self, id: Id) -> Option<Vec<i64>> {
        let (Node::Tuple(items) | Node::List(items)) = &self.heap.nodes[id] else { return None };
        let int = |&i: &Id| match self.heap.nodes[i] {
            Node::Int(x) => Some(x),
            _ => None,
        };
        items.iter().map(int).collect()
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Node::Name(callee), Node::Tuple(arguments)) = (&self.heap.nodes[callee], &self.heap.nodes[arguments]) else {
            return Err(self.fail("a call of what is no function"));
        };
        let (callee, arguments) = (*callee, arguments.clone());
        let wrong = || self.fail(&format!("the arguments of {} are not those of torch", callee.replace(' ', ".")));
        let made = match (callee, arguments.as_slice()) {
            ("collections OrderedDict", []) => Node::Dict(Vec::new()),
            ("collections OrderedDict", &[pairs]) => {
                let Node::List(pairs) = &self.heap.nodes[pairs] else { return Err(wrong()) };
                let pair = |&p: &Id| match &self.heap.nodes[p] {
                    Node::Tuple(kv) | Node::List(kv) if kv.len() == 2 => Some((kv[0], kv[1])),
                    _ => None,
                };
                Node::Dict(pairs.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)?)
            }
            ("torch._utils _rebuild_tensor_v2", &[storage, offset, shape, stride, ..]) => {
                let (&Node::Int(offset), Some(shape), Some(stride)) = (&self.heap.nodes[offset], self.ints(shape), self.ints(stride))
                else {
                    return Err(wrong());
                };
                Node::Tensor { storage, offset, shape, stride }
            }
            ("torch._utils _rebuild_parameter", &[data, ..]) => {
                // The parameter is its tensor.
                self.stack.push(data);
                return Ok(());
            }
            ("torch._utils _rebuild_sparse_tensor", &[_, parts]) => {
                let Node::Tuple(parts) = &self.heap.nodes[parts] else { return Err(wrong()) };
                let &[indices, values, shape, ..] = parts.as_slice() else { return Err(wrong()) };
                Node::Sparse { indices, values, shape: self.ints(shape).ok_or_else(wrong)? }
            }
            ("torch Size", &[sizes]) => {
                self.stack.push(sizes);
                return Ok(());
            }
            ("torch.serialization _get_layout", &[layout]) => match &self.heap.nodes[layout] {
                Node::Text(layout) if layout == "torch.sparse_coo" => Node::Other,
                Node::Text(layout) => {
                    return Err(format!("it has a tensor of layout {layout}, which is not read (dense and torch.sparse_coo are)"));
                }
                _ => return Err(wrong()),
            },
            ("torch device", _) => Node::Other,
            _ => return Err(wrong()),
        };
        self.push(made);
        Ok(())
    }
}
