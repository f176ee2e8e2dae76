/* links: ops. Collectives: reference samples, rings beyond the measured group, zero cases, NCCL on racks. */
#include "ops_cases.h"
#include "parity/golden_ops.h"

#define ALLREDUCE(tp)                                                                                        \
    "{\"CustomAllReduce\": {\"name\": \"ar\", \"scale_factor\": 1, \"hidden_size\": 4096, \"tp_size\": " #tp \
    ", \"quant\": \"half\"}}"
#define NCCL(gpus, what)                                                                                     \
    "{\"Nccl\": {\"name\": \"n\", \"scale_factor\": 1, \"hidden_size\": 4096, \"num_gpus\": " #gpus          \
    ", \"dtype\": \"half\", "                                                                                \
    "\"operation\": \"" what "\"}}"

static void test_samples(void **state) {
    check_samples(state, "ops_comm.jsonl.gz", 200, 60);
}

/* h200: 8 GPUs measured, 450 GB/s inside a node and 50 GB/s between nodes. */
static void test_ring(void **state) {
    ops_fixture *f = *state;
    op_bound node = bind_op(f, OP_SILICON, ALLREDUCE(8)), two = bind_op(f, OP_SILICON, ALLREDUCE(16));
    op_result a = answer(&node, OP_SILICON, tokens(100)), b = answer(&two, OP_SILICON, tokens(100));
    double ring = (16.0 - 1.0) / 16.0 * 8.0 / 7.0 * 450e9 / 50e9;
    assert_true(b.latency == a.latency * ring);
    assert_true(b.cover[OP_EXTRAPOLATED] == b.latency && a.cover[OP_EXTRAPOLATED] == 0);
    op_bound gather = bind_op(f, OP_SILICON, NCCL(8, "all_gather")),
             more = bind_op(f, OP_SILICON, NCCL(16, "all_gather"));
    assert_true(answer(&more, OP_SILICON, tokens(100)).latency ==
                answer(&gather, OP_SILICON, tokens(100)).latency * ring);
}

static void test_nothing_to_do(void **state) {
    ops_fixture *f = *state;
    op_bound ar = bind_op(f, OP_SILICON, ALLREDUCE(1)), one = bind_op(f, OP_SILICON, NCCL(1, "all_gather"));
    op_bound p2p =
        bind_op(f, OP_SILICON,
                "{\"P2P\": {\"name\": \"p\", \"scale_factor\": 1, \"pp_size\": 1, \"hidden_size\": 64}}");
    assert_true(answer(&ar, OP_SOL, tokens(5)).latency == 0 &&
                answer(&ar, OP_SILICON, tokens(5)).source == OP_SRC_empirical);
    assert_int_equal(answer(&one, OP_SILICON, tokens(5)).source, OP_SRC_empirical);
    assert_int_equal(answer(&one, OP_SOL, tokens(5)).source, OP_SRC_sol);
    assert_int_equal(answer(&p2p, OP_SILICON, tokens(5)).source, OP_SRC_silicon);
}

static void test_refusals(void **state) {
    ops_fixture *f = *state;
    op_bound three = bind_op(f, OP_SILICON, ALLREDUCE(3)), odd = bind_op(f, OP_SILICON, NCCL(8, "broadcast"));
    HAS(refusal(&three, OP_SILICON, tokens(5), OP_MISSING).text,
        "no rows with num_gpus 3; measured: 2, 4, 8");
    HAS(refusal(&odd, OP_SILICON, tokens(5), OP_MISSING).text,
        "no rows with op_name broadcast at nccl_dtype=half");
    op_bound two = bind_op(f, OP_SILICON, ALLREDUCE(2));
    HAS(refusal(&two, OP_SILICON, tokens(0), OP_MISSING).text, "SOL time of the query");
    assert_true(answer(&odd, OP_SOL, tokens(5)).latency == 0);
}

static op_bound bind_on(ops_fixture *f, const pdb_system *sys, const char *json) {
    pdb_view *view =
        (pdb_view *)(uintptr_t)f->view; /* tables belong to the view's address: lend it another sheet */
    const pdb_system *own = view->system;
    view->system = sys;
    op_bound b = bind_op(f, OP_SILICON, json);
    view->system = own;
    return b;
}

/* A node of 72 GPUs: all-reduce over more than four of them is NCCL's. */
static void test_rack_all_reduce(void **state) {
    ops_fixture *f = *state;
    pdb_system rack = *f->view->system;
    rack.gpus_per_node = 72;
    op_bound nccl = bind_op(f, OP_SILICON, NCCL(8, "all_reduce")),
             custom = bind_op(f, OP_SILICON, ALLREDUCE(8));
    op_bound on_rack = bind_on(f, &rack, ALLREDUCE(8)), small = bind_on(f, &rack, ALLREDUCE(4));
    op_bound plain = bind_op(f, OP_SILICON, ALLREDUCE(4));
    double routed = answer(&on_rack, OP_SILICON, tokens(300)).latency;
    assert_true(routed == answer(&nccl, OP_SILICON, tokens(300)).latency);
    assert_true(routed != answer(&custom, OP_SILICON, tokens(300)).latency);
    assert_true(answer(&small, OP_SILICON, tokens(300)).latency ==
                answer(&plain, OP_SILICON, tokens(300)).latency);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),         cmocka_unit_test(test_ring),
        cmocka_unit_test(test_nothing_to_do),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_rack_all_reduce),
    };
    return cmocka_run_group_tests_name("comm", tests, ops_setup, ops_teardown);
}
