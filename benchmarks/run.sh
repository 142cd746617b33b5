#!/bin/sh
# All benchmarks with the sizes that docs/benchmarks.md reports, on an otherwise idle machine. Used by `make bench`.
set -e
cd "$(dirname "$0")/.."
export OPENBLAS_NUM_THREADS=1
snakemake --cores all --quiet all -- results/table1.csv
python benchmarks/bench_metrics.py
python benchmarks/bench_flow.py --estimator deepflow --size 640 480 --frames 16 --repeats 3
python benchmarks/bench_flow.py --estimator dis --size 160 96 --frames 60 --repeats 5
python benchmarks/bench_rescale.py --size 640 480 --every 1
python benchmarks/bench_rescale.py --size 160 96 --every 2
python benchmarks/bench_unpack.py --mib 300
python benchmarks/bench_loading.py --results results/demo --config config/config.yaml --model early early_aug
python benchmarks/bench_samples.py
python benchmarks/bench_evaluate.py --results results/demo --config config/config.yaml --arch spatial early
python benchmarks/bench_evaluate.py --results results/demo --config config/config.yaml --arch early --processes 2
python benchmarks/bench_baselines.py
python benchmarks/bench_predict.py --size 160 120 320 240
python benchmarks/bench_static_flow.py --estimator dis --variant small --width 0.5
python benchmarks/bench_memory.py --frames 60
python benchmarks/bench_download.py
python benchmarks/bench_dag.py --profile config hevc33 diem
python benchmarks/bench_table1.py --cores all 8 --repeats 2
