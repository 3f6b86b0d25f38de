#!/usr/bin/env bash
# One search on several Slurm nodes: `sbatch docs/slurm.sh --budget 4.5GFLOPs --proxy gpu --trials 200`
# Ray starts on every node; the search itself runs on the first. Submit it again to go on (--continue).
#SBATCH --job-name=convnext-nas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-task=4
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
# SIGTERM, two minutes before the time is up
#SBATCH --signal=TERM@120
set -euo pipefail

study=${STUDY:-$SLURM_SUBMIT_DIR/runs/slurm}   # on a file system that all nodes share
gpus_per_trial=${GPUS_PER_TRIAL:-0.5}

# a secret of this job's, so that nobody else on the network can use its Ray
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))

search=(python -m nas.search --study "$study" --engine ray --ray-address "$head:$port"
    --gpus-per-trial "$gpus_per_trial" --continue "$@")

# starts Ray on every node, waits for all of them, and runs the command on the node of the address
srun ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --disable-usage-stats -- "${search[@]}"
