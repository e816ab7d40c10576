use super::arch::quoted;
use super::plan::potential_before;

const ONE: i64 = 4096;

/// What SANA-FE does with a bias for `steps` steps: no leak in the first, a cut to whole v units, a spike above the threshold.
fn after(potential: i64, bias: i64, steps: u32, threshold: i64, keep: i64) -> Option<i64> {
    let mut v = potential;
    for step in 0..steps {
        if step > 0 {
            v = v * keep / ONE;
        }
        v += bias;
        if v > threshold {
            return None;
        }
    }
    Some(v)
}

#[test]
fn potentials_make_up_for_early_biases() {
    let mut found = 0;
    for bias in [-5000, -37, -1, 1, 64, 777] {
        for steps in 0..6 {
            for threshold in [0, 640, 1 << 20] {
                for keep in [1, 700, 2048, 3841, 4095, 4096] {
                    match potential_before(bias, steps, threshold, keep, ONE) {
                        Some(v) => {
                            assert_eq!(after(v, bias.into(), steps, threshold, keep), Some(0), "{bias} {steps} {threshold} {keep}: {v}");
                            found += 1;
                        }
                        None => assert!(bias < 0 || keep == 1, "only a high potential could fire: {bias} {steps} {threshold} {keep}"),
                    }
                }
            }
        }
    }
    assert!(found > 500, "{found}");
}

#[test]
fn potentials_by_hand() {
    // One step too early: -b. Two, half kept: -b - 2 b.
    assert_eq!(potential_before(100, 1, 640, 2048, ONE), Some(-100));
    assert_eq!(potential_before(100, 2, 640, 2048, ONE), Some(-300));
    assert_eq!(potential_before(-100, 2, 640, 2048, ONE), Some(300));
    // 200 units would stand in the neuron after the first step: it would fire.
    assert_eq!(potential_before(-100, 2, 199, 2048, ONE), None);
    assert_eq!(potential_before(100, 0, 640, 2048, ONE), Some(0));
    // Nothing is kept: harmless unless the bias alone fires.
    assert_eq!(potential_before(100, 3, 640, 0, ONE), Some(0));
    assert_eq!(potential_before(700, 3, 640, 0, ONE), None);
}

#[test]
fn names_can_not_break_the_yaml() {
    assert_eq!(quoted("loihi1"), "\"loihi1\"");
    assert_eq!(quoted("a\"b\\c\n[0..3]: é"), "\"a_b_c__0..3__ _\"");
}
