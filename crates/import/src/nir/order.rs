//! The order in which a graph's nodes are computed, loops included.
//!
//! In: edges between nodes. Out: an order in which every edge leads from earlier to later, except those that close a loop.
//! Invariant: only edges into neurons close loops; of a loop's neurons those nearest to the inputs come first.
//! Cost: a search of the strongly connected components for each round of loops that are opened; a graph needs few.
//! Why: frameworks compute layer after layer and give a layer the spikes that a later one had in the step before.

use super::graph::FlatNode;
use super::kinds::Class;
use crate::error::ImportError;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Rounds in which loops are opened.
const MAX_ROUNDS: u64 = 1 << 12;

/// Orders the nodes.
///
/// # Errors
/// [`ImportError::LoopWithoutNeurons`].
pub(super) fn order(nodes: &[FlatNode], predecessors: &[Vec<usize>], followers: &[Vec<usize>]) -> Result<Vec<usize>, ImportError> {
    let n = nodes.len();
    // Kahn's algorithm; of the ready nodes inputs go first, then by index.
    let rank = |i: usize| (nodes[i].class() != Some(Class::Input), i);
    let mut missing: Vec<usize> = predecessors.iter().map(Vec::len).collect();
    let mut ready: BTreeSet<_> = (0..n).filter(|&i| missing[i] == 0).map(rank).collect();
    let mut placed = vec![false; n];
    let mut opened = vec![false; n];
    let mut order = Vec::with_capacity(n);
    let distance = distances(nodes, followers);
    for round in 0.. {
        while let Some((_, i)) = ready.pop_first() {
            order.push(i);
            placed[i] = true;
            for &j in &followers[i] {
                if opened[j] || placed[j] {
                    continue;
                }
                missing[j] -= 1;
                if missing[j] == 0 {
                    ready.insert(rank(j));
                }
            }
        }
        if order.len() == n {
            break;
        }
        if round == MAX_ROUNDS {
            return Err(ImportError::TooLarge {
                place: nodes[order.len()].name.clone(),
                what: "loops",
                found: round + 1,
                limit: MAX_ROUNDS,
            });
        }
        for component in first_loops(predecessors, &placed) {
            let neurons = component.iter().copied().filter(|&i| nodes[i].class() == Some(Class::Neurons));
            let Some(first) = neurons.min_by_key(|&i| (distance[i], i)) else {
                return Err(ImportError::LoopWithoutNeurons { nodes: find_loop(nodes, predecessors, &component) });
            };
            opened[first] = true;
            ready.insert(rank(first));
        }
    }
    Ok(order)
}

/// Edges from the nearest input.
fn distances(nodes: &[FlatNode], followers: &[Vec<usize>]) -> Vec<usize> {
    let mut distance = vec![usize::MAX; nodes.len()];
    let mut queue: VecDeque<usize> = (0..nodes.len()).filter(|&i| nodes[i].class() == Some(Class::Input)).collect();
    queue.iter().for_each(|&i| distance[i] = 0);
    while let Some(i) = queue.pop_front() {
        for &j in &followers[i] {
            if distance[j] == usize::MAX {
                distance[j] = distance[i] + 1;
                queue.push_back(j);
            }
        }
    }
    distance
}

/// Of the nodes that are not placed, the strongly connected components that wait for no other one.
fn first_loops(predecessors: &[Vec<usize>], placed: &[bool]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), ()>::with_capacity(placed.len(), 0);
    for _ in placed {
        graph.add_node(());
    }
    for j in (0..placed.len()).filter(|&j| !placed[j]) {
        for &i in predecessors[j].iter().filter(|&&i| !placed[i]) {
            graph.add_edge(NodeIndex::new(i), NodeIndex::new(j), ());
        }
    }
    let components = kosaraju_scc(&graph);
    let mut of = vec![usize::MAX; placed.len()];
    for (c, members) in components.iter().enumerate() {
        members.iter().for_each(|m| of[m.index()] = c);
    }
    let first = |members: &Vec<NodeIndex>| {
        let c = of[members[0].index()];
        !placed[members[0].index()] && members.iter().all(|m| predecessors[m.index()].iter().all(|&i| placed[i] || of[i] == c))
    };
    let mut loops: Vec<Vec<usize>> = components.iter().filter(|m| first(m)).map(|m| m.iter().map(|x| x.index()).collect()).collect();
    loops.iter_mut().for_each(|l| l.sort_unstable());
    loops.sort_unstable();
    loops
}

/// Names of one loop inside of a component, starting at its smallest index.
fn find_loop(nodes: &[FlatNode], predecessors: &[Vec<usize>], component: &[usize]) -> Vec<String> {
    let Some(&(mut at)) = component.first() else { return Vec::new() };
    let mut position = BTreeMap::new();
    let mut path = Vec::new();
    while !position.contains_key(&at) {
        position.insert(at, path.len());
        path.push(at);
        match predecessors[at].iter().find(|p| component.binary_search(p).is_ok()) {
            Some(&p) => at = p,
            None => return Vec::new(),
        }
    }
    let mut cycle = path.split_off(position[&at]);
    cycle.reverse();
    if let Some(first) = (0..cycle.len()).min_by_key(|&k| cycle[k]) {
        cycle.rotate_left(first);
    }
    cycle.into_iter().filter(|&i| !nodes[i].pass).map(|i| nodes[i].name.clone()).collect()
}
