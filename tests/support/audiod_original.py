import asyncio
import websockets
import json

async def audio_client():
    # Подключение к серверу
    async with websockets.connect("ws://localhost:8004/ws") as websocket:
        # Получение приветственного сообщения
        welcome = await websocket.recv()
        print(f"Получено: {welcome}")
        
        # Отправка команды запуска аудио-приемника
        await websocket.send(json.dumps({"command": "start_audio_receiver"}))
        response = await websocket.recv()
        print(f"Ответ сервера: {response}")
        
        # Генерация тестовых аудиоданных (для примера)
        audio_data = bytes([i % 256 for i in range(1024)])
        
        # Отправка аудиоданных и получение обработанного результата
        await websocket.send(audio_data)
        processed_data = await websocket.recv()
        
        print(f"Получены обработанные данные длиной {len(processed_data)} байт")

if __name__ == "__main__":
    asyncio.run(audio_client())
