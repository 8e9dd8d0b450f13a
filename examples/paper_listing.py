"""The program of the Trace paper's figure 2: an agent that learns to play Battleship while it plays.

It also runs with trace-opt, if these imports replace those of opto_gym::

    from opto import trace
    from opto.trace import bundle, node
    from opto.optimizers import OptoPrime
"""

import random

from opto_gym import trace
from opto_gym.optim import OptoPrime
from opto_gym.trace import bundle, node

SIZE, SHIPS = 5, (3, 2)


class Board:
    """A small board with hidden ships. `fire` returns the reward of a shot, and feedback in words."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.ships, self.shots = set(), {}
        for size in SHIPS:
            while True:
                down, r, c = rng.random() < 0.5, rng.randrange(SIZE), rng.randrange(SIZE)
                cells = {(r + k, c) if down else (r, c + k) for k in range(size)}
                if all(i < SIZE and j < SIZE for i, j in cells) and not cells & self.ships:
                    self.ships |= cells
                    break

    def map(self):
        return [[self.shots.get((r, c), ".") for c in range(SIZE)] for r in range(SIZE)]

    def fire(self, square):
        r, c = square
        if not (0 <= r < SIZE and 0 <= c < SIZE):
            return 0, f"{[r, c]} is outside the board."
        if (r, c) in self.shots:
            return 0, f"{[r, c]} was shot before."
        hit = (r, c) in self.ships
        self.shots[r, c] = "X" if hit else "O"
        return int(hit), f"Got {int(hit)} reward."


@trace.model
class Agent:
    def play(self, map):
        return self.act(map, self.reason(map))

    @bundle(trainable=True)
    def reason(self, map):
        """Analyses the map: '.' is unknown, 'O' a miss, 'X' a hit. Returns a plan for act."""
        return [0, 0]

    @bundle(trainable=True)
    def act(self, map, plan):
        """Selects the square to fire at, [row, column], counted from 0."""
        return


def main(steps=3, seed=0, **settings):
    board, agent = Board(seed), Agent()
    optimizer = OptoPrime(agent.parameters(), **settings)
    rewards = []
    for _ in range(steps):
        map = node(board.map(), "map")
        try:
            output = agent.play(map)
            reward, feedback = board.fire(output.data)
        except trace.ExecutionError as e:
            output, reward, feedback = e.exception_node, 0, e.exception_node.data
        except TypeError:
            reward, feedback = 0, f"act returned {output.data}, expected [row, column]."
        rewards.append(reward)
        print(f"reward {reward}: {feedback}")
        optimizer.zero_feedback()
        optimizer.backward(output, feedback)
        optimizer.step()
    return rewards


if __name__ == "__main__":
    main()
