//! The recipes of the examples: each one is read, and its network and method are made.

use spikec_train::model::Model;
use spikec_train::recipe::Recipe;
use spikec_train::rewire::Rewiring;
use spikec_train::tensor::Shape;

#[test]
fn recipes_of_the_examples_are_good() {
    let examples = format!("{}/../../examples", env!("CARGO_MANIFEST_DIR"));
    let folder = format!("{examples}/mnist-gradr");
    let list = |f: &str| std::fs::read_dir(f).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let all: Vec<_> = [list(&folder), list(&format!("{folder}/recipes")), list(&format!("{examples}/quickstart"))].concat();
    let recipes: Vec<_> = all.iter().filter(|p| p.extension().is_some_and(|e| e == "ron")).collect();
    assert!(recipes.len() > 10);
    for path in recipes {
        let recipe = Recipe::read(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut model = Model::new(&recipe, Shape { channels: 1, height: 28, width: 28 }, 10).unwrap_or_else(|e| panic!("{e}"));
        let rewiring = Rewiring::new(&recipe, &mut model.parameters_mut()).unwrap_or_else(|e| panic!("{e}"));
        let name = path.file_name().unwrap().to_string_lossy();
        assert_eq!(rewiring.weights(), if name.starts_with("conv") { 106_312 } else { 635_200 }, "{name}");
    }
}
