// Reads `cargo metadata` on stdin. Fails if a crate in the tree of a package declares a newer Rust than the package. Prints a line for each
// Rust: its version and the packages that declare it. A crate that declares none is counted, and only the old toolchain itself checks it.
import { readFileSync } from "node:fs";

const metadata = JSON.parse(readFileSync(0, "utf8"));
const packages = new Map(metadata.packages.map((pkg) => [pkg.id, pkg]));
const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));

const isNewer = (one, other) => {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  const place = [0, 1, 2].find((index) => (a[index] ?? 0) !== (b[index] ?? 0));
  return place !== undefined && (a[place] ?? 0) > (b[place] ?? 0);
};

// With development dependencies, because the tests are compiled by the oldest Rust too.
const treeOf = (id, seen = new Set()) => {
  if (seen.has(id)) return seen;
  seen.add(id);
  nodes.get(id).deps.forEach((dependency) => treeOf(dependency.pkg, seen));
  return seen;
};

const declared = new Map();
for (const id of metadata.workspace_members) {
  const { name, rust_version: oldest } = packages.get(id);
  if (!oldest) throw new Error(`${name} declares no rust-version`);
  const tree = [...treeOf(id)].map((each) => packages.get(each));
  const newer = tree.filter((each) => each.rust_version && isNewer(each.rust_version, oldest));
  for (const each of newer) {
    console.error(`${name} declares Rust ${oldest}, but ${each.name} ${each.version} needs ${each.rust_version}`);
    process.exitCode = 1;
  }
  const silent = tree.filter((each) => !each.rust_version).length;
  console.error(`${name}: Rust ${oldest}; ${newer.length} of ${tree.length} crates need more, and ${silent} don't declare theirs`);
  declared.set(oldest, [...(declared.get(oldest) ?? []), name]);
}
for (const [version, names] of declared) console.log(version, ...names);
